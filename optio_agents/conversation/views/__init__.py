"""Typed views over the raw events: one set of values for all agents.

```
usage.py, errors.py    what a turn cost, how it failed
values.py              the other views
reading.py             how a field of a raw event is read, and the tables of decoders
claude.py, codex.py, acp.py    one table per backend: the kinds of events, their views, what is ignored and why
outcome.py             the usage and the error of a turn, for its result
dispatch.py            `views_of`: the views of an event
table.py               the tables as one, for the documentation
```

Pure functions over frozen values. Nothing is computed until `views_of` is called.
"""
