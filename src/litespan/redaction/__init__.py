"""Secrets and content are removed here, and nowhere else."""
