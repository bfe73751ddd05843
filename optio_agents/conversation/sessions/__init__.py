"""The sessions that an agent has kept: which there are, and what was said in one.

```
values.py          a session, and a turn of the past
claude_files.py    claude's, from the files that it keeps
queries.py         codex's and those of ACP agents, asked of the agent itself. Sans-IO
finding.py         `list_sessions`, `last_session`, `session_history`
```

To resume or fork one is a recipe (`agents.py`): `agent.resumed(session)`, `agent.forked(session)`.
"""
