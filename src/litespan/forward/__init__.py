"""`litespan forward`: receives OTLP/HTTP and passes the spans to any litespan exporter.

It serves vendors without a collector exporter: a collector, or a program in any language, sends
OTLP here, and the exporters convert it to the vendor's format.
"""
