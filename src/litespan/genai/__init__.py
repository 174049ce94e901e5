"""Messages in the shapes of the providers' APIs → the shape of the GenAI conventions. Pure."""
