"""What Benchmarks/report consists of."""
