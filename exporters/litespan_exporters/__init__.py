"""Span exporters for vendors and stores, one module each.

Nothing is imported here: an exporter's module loads when its entry point in
`opentelemetry_traces_exporter` is named.
"""
