"""The command line, `optio-agents`.

main          finds the command, and turns exceptions into exit codes    exit_codes  the table of exit codes
arguments     a parser whose errors name the remedy                      durations   90, 10m, 1h30m
stderr        stderr, which may be full                                  features    the options about keywords
run/          the command `run`                                          chat/       the command `chat`
worker/       the command `worker`                                       prompt      the documentation for agents
check         what each line of a log means                              completion  for bash, zsh and fish
runs, show, replay    earlier runs                                       runs_directory  where they are kept

Nothing here imports more than the chosen command needs: `--help` must not pay for an event loop.
"""

from optio_agents.cli.main import main

__all__ = ["main"]
