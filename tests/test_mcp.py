from __future__ import annotations

import asyncio
from typing import Any

import pytest
import trio

from optio_agents.mcp import McpConfigMixin, McpServer, resolve_mcp_servers

SECRET = "s3cr3t"
SERVER = McpServer("docs", "https://mcp.example.org/x", {"Authorization": SECRET})


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(SERVER)
    assert SECRET not in repr(McpConfigMixin(mcp_servers=[SERVER]))
    assert hash(SERVER) == hash(McpServer("docs", "https://mcp.example.org/x"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("a b", "https://h"), "name"),
        (("a", "ftp://h"), "url"),
        (("a", "https://"), "url"),
        (("a", "https://h\n"), "url"),
        (("a", "https://[h"), "url"),
        (("a", 3), "url"),
        (("a", f"https://user:{SECRET}@h"), "url"),
        (("a", "https://h", {"A": 1}), "headers"),
        (("a", "https://h", [SECRET]), "headers"),
        (("a", "https://h", {"A": f"{SECRET}\r\nB: c"}), "headers"),
        (("a", "https://h", {f"{SECRET}\r\nB": "c"}), "headers"),
    ],
)
def test_an_unusable_field_is_named_and_no_secret_is_in_the_error(arguments: Any, field: str) -> None:
    with pytest.raises(ValueError, match=field) as raised:
        McpServer(*arguments)
    assert SECRET not in str(raised.value)


def test_the_headers_are_a_copy() -> None:
    headers = {"A": "b"}
    server = McpServer("a", "https://h", headers)
    headers["A"] = "c"
    assert server.headers == {"A": "b"}


@pytest.mark.parametrize(
    ("servers", "error"),
    [
        ([SERVER, SERVER], "duplicate server name 'docs'"),
        ([{"headers": SECRET}], "McpServer.*dict"),
        (SERVER, "list of McpServer"),
    ],
)
def test_unusable_lists_are_refused(servers: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error) as raised:
        McpConfigMixin(mcp_servers=servers)._validate_mcp(supported=True, agent="codex")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("servers", [[], [SERVER]])
def test_an_agent_that_cannot_use_them_says_so(servers: list[McpServer]) -> None:
    McpConfigMixin()._validate_mcp(supported=False, agent="codex")
    with pytest.raises(ValueError, match="codex does not support mcp_servers yet"):
        McpConfigMixin(mcp_servers=servers)._validate_mcp(supported=False, agent="codex")


async def resolve(servers: Any, timeout: float = 60) -> list[McpServer]:
    return await resolve_mcp_servers(McpConfigMixin(mcp_servers=servers), "p1", timeout=timeout)


async def test_servers_for_a_launch() -> None:
    async def provider(process_id: str) -> list[McpServer]:
        return [McpServer(process_id, "https://h")]

    assert await resolve(None) == []
    assert await resolve([SERVER]) == [SERVER]
    assert [server.name for server in await resolve(provider)] == ["p1"]


async def test_what_a_provider_gives_is_checked_and_what_it_raises_is_raised() -> None:
    async def nothing(process_id: str) -> None:
        pass

    async def failing(process_id: str) -> None:
        raise TimeoutError("its own")

    with pytest.raises(ValueError, match="provider returned must be a list of McpServer"):
        await resolve(nothing)
    with pytest.raises(TimeoutError, match="its own"):
        await resolve(failing)


async def test_a_provider_that_hangs_is_cancelled_under_trio(autojump_clock: trio.testing.MockClock) -> None:
    async def hanging(process_id: str) -> Any:
        await trio.sleep_forever()

    with pytest.raises(TimeoutError, match="provider did not return within 60 s"):
        await resolve(hanging)


def test_a_provider_that_hangs_is_cancelled_under_asyncio() -> None:
    async def hanging(process_id: str) -> Any:
        await asyncio.Event().wait()

    async def failing(process_id: str) -> Any:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="provider did not return"):
        asyncio.run(resolve(hanging, 0))
    with pytest.raises(TimeoutError, match="its own"):
        asyncio.run(resolve(failing))
