"""Child processes on a local host.

owned         a child process with an owner              deadlines    how long each step of its end may take
process_tree  finds and ends a program and its descendants    exit_status  the text of an exit status
commands      runs a shell command, collects its output    pipes        its output as lines, its input as a writer
snapshot      processes as values read from /proc
excerpt       the head and the tail of any output        adoption    orphans, where this process owns them all
"""
