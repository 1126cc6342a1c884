"""Answers GET /events: a function of its own, so that listeners cannot keep others waiting."""

from lambdas.api import handler

__all__ = ["handler"]
