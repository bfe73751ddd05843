"""Following a log: bytes in, windows of whole lines out.

framer         bytes into whole lines, sans-IO       windows             windows of these lines, and what was lost
local_reader   a local file: truncation, replacement log_file            opening it, finding the file of a position
inotify        wakes local readers                   inotify_descriptor  one descriptor for all readers of a thread
remote_reader  a log over SSH                        remote_follower     the program that follows it there
tailed_reader  a host that only offers `tail_file`
"""
