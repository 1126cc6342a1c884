"""What the benchmarks and the fault injection share: connections, servers, and a history with its checker."""
