"""The local engine: one process, one SQLite file."""
