"""The command `chat`: a dialogue with a live agent, on a terminal or as JSON lines."""
