"""A session: its actors, one file each, and how it ends.

driver        from the first step to the outcome        topology    the actors, how they are linked, how they end
conclusion    turns exceptions into what the caller sees
resolver      receives every fact, acts on the verdict  verdict     the decision table
tailer        reads the log                             parser      turns its lines into effects
cursor        the reading position                      reading     messages from the tailer to the parser
work_queue    items that wait for a callback            spool       ... in memory first, then in a file
fetcher       opens and passes on deliverables          deliverable one opened deliverable
callers       on_caller_message                         sender      messages to the agent
reply_queue   replies for the sender                    body        the agent's own work
context_calls calls of the ctx                          log_order     ... in the log's order
host_step     time limits for the host's steps
cancel_watch  optio's cancellation                      session_log   records in Python's logging
arguments     checks of the arguments                   optio_context  what a ctx has and says
recorder      the session's record                      instrumentation  where telemetry is attached
plan, options, events, outcome, callbacks    values
"""
