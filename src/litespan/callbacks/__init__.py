"""Handlers: the stages of each call, delivered in order and off the caller's thread."""
