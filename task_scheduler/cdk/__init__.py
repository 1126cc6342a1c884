"""The boxes of the architecture diagram, one file each; who may call whom is said in the stack, not here."""
