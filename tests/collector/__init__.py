"""The real OpenTelemetry Collector with the configurations of this repository."""
