"""Benchmarks, load and fault injection: no part of the product."""
