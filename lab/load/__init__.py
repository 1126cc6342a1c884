"""Sends a mixed load to a server at times that are planned beforehand, and reports how long everything took."""
