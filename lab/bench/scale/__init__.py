"""How far the AWS engine goes, on paper: quotas, and a simulation of the design under them."""
