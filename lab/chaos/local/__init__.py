"""Faults of one machine: kills, clocks that step, disks that fill up, torn logs."""
