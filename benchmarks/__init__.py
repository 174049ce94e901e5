"""What litespan costs, as ratios to bare OpenTelemetry spans: `python -m benchmarks --help`."""
