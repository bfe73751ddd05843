"""Hosts: following a log, opening a deliverable, running and ending programs; one adapter for each kind of host.

base             what a session needs of a host: values and protocols
framer           bytes -> whole lines
log_reader       a local log: identity, truncation, replacement     inotify, inotify_descriptor
beneath, directory, task_paths    paths that never leave the task's directories
local_files      a session's files in a local workdir               page_cache
local            `LocalHost`, Trio-native                           commands, pipes, transfer, local_archive
process_tree     a program and all that it started, found and ended
adapt            any host -> what a session needs
optio_local      ... optio-host's LocalHost
remote*          ... optio-host's RemoteHost, over SSH              shell
ssh/             connections, commands and guarded agents on a remote host
foreign*         ... any object with a few methods
"""
