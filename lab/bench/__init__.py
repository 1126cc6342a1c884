"""How fast it is and what it takes, always beside something else that was measured in the same run."""
