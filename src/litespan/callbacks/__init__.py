"""Handlers: told each stage of each call, reliably and off the caller's thread."""
