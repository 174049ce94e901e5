"""Span exporters for vendors and stores, one module each.

This package imports none of them: an exporter is imported when its entry point in
`opentelemetry_traces_exporter` is loaded.
"""
