"""Hosts: following a log, opening a deliverable, running and ending programs; one adapter for each kind of host.

base             what a session needs of a host: values and protocols
adapt            any host -> what a session needs           kinds       which kind a host is
local            `LocalHost`, Trio-native                   local_files a session's files in a local workdir
optio_local      optio-host's LocalHost
remote*          optio-host's RemoteHost, over SSH          shell       the shell commands that it runs
userland         what a remote host has
foreign          any object with a few methods              contained*  optio-host's hosts, for hooks
background       a task beside a block
files/           paths that never leave the task's directories, transfers, archives, removal
log/             framing, inotify, and the readers of local, remote and tailed logs
processes/       owning a child process: its pipes, its deadlines, its whole tree
ssh/             connections, commands and guarded agents on a remote host
"""
