"""A data file of each format of the local engine, and how one is made."""
