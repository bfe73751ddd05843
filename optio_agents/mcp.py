"""Remote MCP servers (Model Context Protocol, streamable HTTP) that a task gives to its agent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

PROVIDER_TIMEOUT = 60.0
"""Seconds that a provider of MCP servers may take."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, field-content: no CR, LF, NUL


@dataclass(frozen=True)
class McpServer:
    """One server. Its headers often hold a secret: neither `repr` nor an error shows them.

    Attributes:
        name: of letters, digits, `_` and `-`.
        url: http or https, without credentials in it (`https://user:secret@...`): put them into a header.
        headers: sent with each request.

    Raises:
        ValueError: a field is unusable.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Check all fields, and own the headers."""
        _check_name(self.name)
        _check_url(self.url, what=f"McpServer {self.name!r}: url")
        _check_headers(self.headers, what=f"McpServer {self.name!r}: headers")
        object.__setattr__(self, "headers", dict(self.headers))


McpServersProvider: TypeAlias = Callable[[str], Awaitable[list[McpServer]]]
"""`await provider(process_id)` gives the servers of one launch, with credentials of that moment."""


@dataclass(frozen=True, kw_only=True)
class McpConfigMixin:
    """The MCP servers of a task config: a list, or a provider that is called at every launch."""

    mcp_servers: list[McpServer] | McpServersProvider | None = None

    def _validate_mcp(self, *, supported: bool, agent: str) -> None:
        """Check them; a provider's servers are checked when it gives them.

        Args:
            supported: whether the agent package can pass them on.
            agent: its name, for the error.

        Raises:
            ValueError: they are not supported, or unusable.
        """
        if self.mcp_servers is None:
            return
        if not supported:
            raise ValueError(f"{agent} does not support mcp_servers yet")
        if not callable(self.mcp_servers):
            _check_servers(self.mcp_servers, what=f"{type(self).__name__}.mcp_servers")


async def resolve_mcp_servers(
    config: McpConfigMixin, process_id: str, *, timeout: float = PROVIDER_TIMEOUT
) -> list[McpServer]:
    """The servers for one launch.

    Args:
        config: has `mcp_servers`.
        process_id: passed to a provider.
        timeout: seconds that a provider may take.

    Raises:
        ValueError: what is configured, or what the provider gave, is unusable.
        TimeoutError: the provider took too long; it was cancelled.
        Exception: what the provider raises.
    """
    servers = config.mcp_servers
    if servers is None:
        return []
    if not callable(servers):
        return _check_servers(servers, what=f"{type(config).__name__}.mcp_servers")
    from optio_agents.bridge.deadline import deadline  # brings Trio, which a plain config does not need

    async with deadline(timeout, "the mcp_servers provider did not return"):
        provided = await servers(process_id)
    return _check_servers(provided, what="what the mcp_servers provider returned")


def _check_servers(servers: Any, *, what: str) -> list[McpServer]:
    if not isinstance(servers, (list, tuple)):
        raise ValueError(f"{what} must be a list of McpServer, not {type(servers).__name__}")
    names: set[str] = set()
    for server in servers:
        if not isinstance(server, McpServer):
            kind = type(server).__name__  # never its repr, which might show a secret
            raise ValueError(f"{what} must be a list of McpServer: it holds a {kind}")
        if server.name in names:
            raise ValueError(f"{what}: duplicate server name {server.name!r}")
        names.add(server.name)
    return list(servers)


def _check_url(url: Any, *, what: str) -> None:
    """Raise ValueError unless `url` is usable. The text never shows it: it may hold a secret."""
    try:
        parts = urlsplit(url if isinstance(url, str) and url.isprintable() and " " not in url else "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{what} must be an http or https URL with a host")
    if "@" in parts.netloc:
        raise ValueError(f"{what} must not contain credentials: put them into headers")


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"McpServer.name={name!r} must consist of letters, digits, '_' and '-'")


def _check_headers(headers: Any, *, what: str) -> None:
    if not isinstance(headers, Mapping):
        raise ValueError(f"{what} must be a mapping of str to str")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError(f"{what} must be a mapping of str to str")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{what}: a name or a value has characters that HTTP does not allow there")
