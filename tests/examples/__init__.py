"""The examples, run as examples/README.md prints them."""
