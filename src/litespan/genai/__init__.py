"""Typed views of finished GenAI spans, and conversion of provider formats to the conventions."""
