"""Every store, on the real thing."""
