"""Work off the caller's thread, and the rules for forks, process exit and garbage collection."""
