"""The overhead of litespan, compared to bare OpenTelemetry spans: `python -m benchmarks --help`."""
