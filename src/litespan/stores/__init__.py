"""Databases and files: one row per call, written and read back."""
