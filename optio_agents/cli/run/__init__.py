"""The command `run`: a program as an agent, here or on a remote host.

command            its arguments                     settings          the checked arguments
local_run          the Trio program on this machine  ssh_run           ... over SSH; ssh_target parses HOST
local_agent        starts and ends COMMAND           ssh_agent         ... over SSH
workspace          the workdir and the output file   agent_input       one message per line to COMMAND
deliverable_store  saves deliverables                terminal_context  the process context of a session
log_capture        our own log records, as events    exit_decision     the exit code
output_limit       bounds what is kept of COMMAND's output
output/            how events are shown
"""
