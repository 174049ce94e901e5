"""Routing: which exporter receives which calls, with or without content."""
