"""The API as design says it behaves, over HTTP, whatever engine is behind it."""
