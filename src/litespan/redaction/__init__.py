"""Removes secrets and quoted content from text."""
