"""Child processes on a local host.

commands      runs a shell command, collects its output    pipes    reads and writes pipes without blocking
process_tree  finds and ends a program and all that it started
"""
