"""Faults of AWS: calls that are throttled, fail, time out or are cut, and functions that die."""
