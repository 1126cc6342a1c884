"""The tools of the lab: the checker finds what is wrong, and each tool runs."""
