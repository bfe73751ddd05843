"""The command line, `optio-agents`.

`main` finds the command; one module per command does it: `run`, `prompt`, `check`, `chat`, `worker`. What
`run` is made of:

    run             its arguments            settings        what was asked for, checked
    running         the Trio program         workspace          its workdir and the file for the agent's output
    agent_process   owns COMMAND and all     agent_input     one message per line to COMMAND's stdin
                    that it started
    store           saves deliverables       context         what stands in for optio's ctx
    events      what can be shown        plain, json_lines, view + display: the ways of showing it
    output          brings it to stdout      diagnostics     what our parts log, brought there, too
    judgement       the exit code

Nothing here imports more than the command at hand needs: `--help` must not pay for an event loop.
"""

from optio_agents.cli.main import main

__all__ = ["main"]
