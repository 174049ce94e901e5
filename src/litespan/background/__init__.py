"""Background threads, and the rules for forks, process exit and garbage collection."""
