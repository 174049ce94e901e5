"""The real OpenTelemetry Collector on our configurations."""
