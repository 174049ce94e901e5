"""A finished GenAI span, from any instrumentation, as one typed view."""
