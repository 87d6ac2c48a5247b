"""Benchmarks: real processes over real sockets, each figure against a limit or a peer in the same run."""
