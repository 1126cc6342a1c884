"""The CDK constructs, one file for each box of the architecture diagram. A stack connects them and grants access."""
