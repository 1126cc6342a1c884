"""The functions: each takes its settings from the environment, puts the parts together and calls them."""
