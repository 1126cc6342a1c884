"""Every release as it was deployed, a folder each, and how one is kept."""
