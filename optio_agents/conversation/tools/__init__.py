"""Python functions as tools, for all agents.

```
functions.py    a typed coroutine function: its schema, its arguments, its result as a text
calls.py        the calls that are open: bounded, and ended with their turn
server.py       the functions as a server of the Model Context Protocol, over one connection (needs the extra `tools`)
listener.py     a private Unix socket, to which only the agent's own processes may connect
stdio_relay.py  the program that the agent starts as the server: its stdio to the socket and back
```

Every agent starts MCP servers as children of its own and talks to them over stdio, so the server that it starts is a
relay to ours. It needs no port, and it works across network namespaces.
"""
