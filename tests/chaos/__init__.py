"""The drivers that break the engines, and the ledger that finds what is broken."""
