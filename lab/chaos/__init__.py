"""Breaks both engines on purpose under load, and holds every promise that they made against what became of it."""
