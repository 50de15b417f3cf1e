"""Benchmarks: every route of the gateway beside two yardsticks of the same run. `make bench` runs them."""
