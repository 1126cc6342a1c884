"""Schedule a message for later: an HTTP API over AWS Step Functions, or over SQLite on one machine."""

__version__ = "0.2.0.dev0"
