"""The tools of the lab: the checker finds what is wrong, and the drivers find planted faults."""
