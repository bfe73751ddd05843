"""The servers of the Model Context Protocol that an agent is offered: remote ones, and programs that it starts itself.

Each backend is given them in its own way (`codecs/mcp_forms.py`), by its standard input: neither a secret in a header
nor one in an environment shows in the list of processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from optio_agents.mcp import McpServer

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

CALL_SECONDS = 24 * 3600
"""How long an agent may wait for a tool where it can be told: turns end calls, not the agent's patience."""


@dataclass(frozen=True)
class McpCommand:
    """A server that the agent starts as a child of its own, and talks to over its stdio.

    Args:
        name: Of letters, digits, `_` and `-`; the agent's tools are named after it.
        command: The program and its arguments.
        environment: Added to what the agent gives its servers. `repr` does not show it.

    Raises:
        ValueError: a field is unusable; the text says which.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Check the fields, and own them."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"McpCommand: name is up to 64 letters, digits, _ and -, not {self.name!r}")
        if isinstance(self.command, str) or not self.command:
            raise ValueError(f"McpCommand {self.name!r}: command is a list of a program and its arguments")
        if not all(isinstance(each, str) for each in self.command):
            raise ValueError(f"McpCommand {self.name!r}: command has an element that is no str")
        object.__setattr__(self, "command", tuple(self.command))
        object.__setattr__(self, "environment", dict(self.environment))


AnyMcpServer: TypeAlias = McpServer | McpCommand


def checked_servers(servers: Iterable[AnyMcpServer]) -> tuple[AnyMcpServer, ...]:
    """Return `servers` as a tuple.

    Raises:
        TypeError: one is neither an `McpServer` nor an `McpCommand`.
        ValueError: two have one name.
    """
    known: dict[str, AnyMcpServer] = {}
    for server in servers:
        if not isinstance(server, McpServer | McpCommand):
            raise TypeError(f"mcp_servers has McpServer and McpCommand values, not {type(server).__name__}")
        if server.name in known:
            raise ValueError(f"two MCP servers have the name {server.name!r}")
        known[server.name] = server
    return tuple(known.values())
