"""Agent sessions for optio, on Trio."""
