"""The command `run`: a program or a coding agent, here or on a remote host.

command            its arguments                     settings          the checked arguments
local_run          the Trio program on this machine  local_agent       starts and ends COMMAND
ssh_run            ... over SSH                      ssh_agent         ... over SSH; ssh_target parses HOST
conversation_run   a coding agent (--agent)          agent_settings    ... its checked arguments
agent_screen       its terminal                      permission_rules  --allow, --yes-to, --deny
workspace          the workdir and the output file   output_limit      bounds the output file
agent_input        one message per line to COMMAND   secret_prompt     asks for a password
deliverable_store  saves deliverables                evidence          what is kept of a run
terminal_context   the process context of a session  log_capture       our own log records, as events
exit_decision      the exit code                     output/           how events are shown
"""
