"""Spans as OTLP's protobuf, for litespan's exporters and for the SDK's."""
