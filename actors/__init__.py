"""An actor runtime on Trio."""
