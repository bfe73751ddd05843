"""A session: its actors, one file each, and how it ends.

driver    from the first step to the outcome        crew      the actors, how they are linked, in which order they end
edge      where exceptions become what the caller sees
resolver  hears every fact, acts on the verdict     verdict   the judge, a table
tailer    reads the log                             parser    turns its lines into effects
lane      what waits for a callback                 spool     ... in memory first, then in a file
fetcher, deliverable    reads and hands over        callers   on_caller_message
requests, attention     what the ctx is asked       sender, outbox    what the agent is told
body, watch             the agent's own work, optio's cancel
journal   the session's record                      plan, options, events, outcome    values
"""
