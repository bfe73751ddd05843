"""How each backend gets its MCP servers.

Measured with claude 2.1.330, codex 0.169.0, gemini 0.61.0, opencode 1.18.33:

- claude: the control request `mcp_set_servers`; it answers when it has connected to them.
- codex: `config.mcp_servers` of `thread/start`, as in its configuration file; the first turn waits for them.
- ACP agents: `mcpServers` of `session/new` and `session/load`. Each takes programs; remote servers need the capability
  `mcpCapabilities.http`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optio_agents.conversation.mcp_servers import CALL_SECONDS, AnyMcpServer, McpCommand


def claude_servers(servers: Iterable[AnyMcpServer]) -> dict[str, Any]:
    """The `servers` of `mcp_set_servers`."""
    return {server.name: _claude_server(server) for server in servers}


def _claude_server(server: AnyMcpServer) -> dict[str, Any]:
    if isinstance(server, McpCommand):
        program, *arguments = server.command
        form = {"type": "stdio", "command": program, "args": arguments, "env": dict(server.environment)}
    else:
        form = {"type": "http", "url": server.url, "headers": dict(server.headers)}
    return {**form, "timeout": CALL_SECONDS * 1000}


def codex_servers(servers: Iterable[AnyMcpServer]) -> dict[str, Any]:
    """The `mcp_servers` of a configuration."""
    return {server.name: _codex_server(server) for server in servers}


def _codex_server(server: AnyMcpServer) -> dict[str, Any]:
    if isinstance(server, McpCommand):
        program, *arguments = server.command
        form: dict[str, Any] = {"command": program, "args": arguments, "env": dict(server.environment)}
    else:
        form = {"url": server.url, "http_headers": dict(server.headers)}
    return {**form, "tool_timeout_sec": CALL_SECONDS}


def acp_servers(servers: Iterable[AnyMcpServer]) -> list[dict[str, Any]]:
    """The `mcpServers` of a session."""
    return [_acp_server(server) for server in servers]


def _acp_server(server: AnyMcpServer) -> dict[str, Any]:
    if isinstance(server, McpCommand):
        program, *arguments = server.command
        return {
            "name": server.name,
            "command": program,
            "args": arguments,
            "env": _pairs(server.environment.items()),
        }
    return {"type": "http", "name": server.name, "url": server.url, "headers": _pairs(server.headers.items())}


def _pairs(items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in items]
