"""The command `tasks`: what an optio worker's tasks do, and orders to the worker."""
