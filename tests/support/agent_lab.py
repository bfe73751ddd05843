"""An environment for real agents: only the network of the fake API, a home of their own, a dummy key.

The API is a process in a fresh network namespace; each agent joins that namespace (`nsenter`) when it
starts. Our own process stays outside: it only talks to both through pipes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.conversation import (
    Agent,
    AgentConversation,
    ConversationOptions,
    claude,
    codex,
    gemini,
    opencode,
)
from optio_agents.conversation.mcp_servers import AnyMcpServer
from optio_agents.conversation.opening import open_conversation
from optio_agents.conversation.tools.functions import Function
from optio_agents.hosts.processes.snapshot import read_snapshot
from tests.agents import install

HANG_GUARD = 120.0
FAKE_API = Path(__file__).parents[1] / "agents" / "fake_api.py"

# Generous: they are what fails a test on a loaded machine, and nothing here waits for them when all is well.
PATIENT = ConversationOptions(
    start_seconds=HANG_GUARD, interrupt_seconds=60, stop_seconds=20, ask_seconds=30, term_seconds=20
)


def require(name: str) -> list[str]:
    """The command that runs an agent, or a skip; in continuous integration, a failure."""
    command = install.command(name)
    if command is None:
        complain(f"{name} is not installed: python tests/agents/install.py {name}")
    assert command is not None
    return command


def complain(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (required, because CI is set)")
    pytest.skip(reason)


@dataclass
class Lab:
    """The namespace with the API in it, and a home and a workdir for the agents of one test."""

    base: Path
    server: trio.Process
    port: int
    enter: list[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    _changed: trio.Event = field(default_factory=trio.Event)

    @property
    def workdir(self) -> Path:
        return self.base / "work"

    @property
    def home(self) -> Path:
        return self.base / "home"

    def environment(self) -> dict[str, str]:
        """Everything an agent gets to see of the world."""
        url = f"http://127.0.0.1:{self.port}"
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "sk-test",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "CODEX_HOME": str(self.home / ".codex"),
            "FAKE_API_KEY": "sk-test",
            "GEMINI_API_KEY": "sk-test",
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_TELEMETRY_ENABLED": "false",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "OPENCODE_CONFIG_CONTENT": json.dumps(opencode_settings(url)),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        }

    def agent(self, name: str, **options: Any) -> Agent:
        """The recipe for an agent, to be run in here."""
        command = [*self.enter, *require(name)]
        if name == "claude":
            return claude(command, **options)
        if name == "codex":
            return codex(command, sandbox="danger-full-access", **options)
        if name == "opencode":
            return opencode(command, **options)
        arguments = ["--skip-trust", *options.pop("arguments", [])]
        return gemini(command, model="gemini-2.5-flash", arguments=arguments, **options)

    @asynccontextmanager
    async def talk(
        self,
        name: str,
        *,
        options: ConversationOptions = PATIENT,
        tools: Sequence[Function] = (),
        mcp_servers: Sequence[AnyMcpServer] = (),
        answer_schema: type[Any] | Mapping[str, Any] | None = None,
        **agent: Any,
    ) -> AsyncGenerator[AgentConversation]:
        """A conversation with an agent."""
        async with open_conversation(
            self.agent(name, **agent),
            workdir=self.workdir,
            home=self.home,
            environment=self.environment(),
            tools=tools,
            mcp_servers=mcp_servers,
            answer_schema=answer_schema,
            options=options,
        ) as conversation:
            yield conversation

    def configure_codex(self, text: str) -> None:
        """Add to codex's settings (the last section is `features`)."""
        settings = self.home / ".codex" / "config.toml"
        settings.write_text(settings.read_text() + text)

    async def release(self, name: str) -> None:
        """Let the API go on."""
        assert self.server.stdin is not None
        await self.server.stdin.send_all(f"release {name}\n".encode())

    async def waiting(self, name: str) -> None:
        """Wait until the API waits for `name`."""
        await self.reported(event="waiting", name=name)

    async def reported(self, **fields: Any) -> None:
        """Wait until the API has reported something with these fields."""
        while not any(fields.items() <= event.items() for event in self.events):
            await self._changed.wait()

    async def arrived(self, words: str) -> None:
        """Wait until an agent has passed a message with these words on to the API."""
        while not any(words in event.get("newest", "") for event in self.events):
            await self._changed.wait()

    def read_by_model(self) -> str:
        """The newest result of a tool that an agent has passed on to the API; a long one without its middle."""
        results: list[str] = [event["result"] for event in self.events if event.get("result")]
        return results[-1] if results else ""

    async def listen(self) -> None:
        """Collect what the API reports."""
        assert self.server.stdout is not None
        rest = b""
        async for data in self.server.stdout:
            *lines, rest = (rest + data).split(b"\n")
            self.events += map(json.loads, lines)
            self._changed.set()
            self._changed = trio.Event()

    def survivors(self) -> list[str]:
        """The processes that still have this test's home in their environment, however they got away."""
        wanted = f"HOME={self.home}\0".encode()
        found = []
        for pid, entry in read_snapshot().items():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            if wanted in environment and not entry.dead:
                found.append(f"{entry.name} ({pid})")
        return found

    def fifo(self, name: str) -> Fifo:
        """A FIFO in the workdir, through which a tool can tell that it runs."""
        path = self.workdir / name
        os.mkfifo(path)
        return Fifo(path)


class Fifo:
    """Opened at once, so that no writer ever waits for us."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def written(self) -> bytes:
        """Wait until something was written to it."""
        await trio.lowlevel.wait_readable(self._descriptor)
        data = os.read(self._descriptor, 1000)
        os.close(self._descriptor)
        return data


def opencode_settings(url: str) -> dict[str, Any]:
    """One provider, the API; ask before anything is done."""
    model = {
        "name": "fake",
        "tool_call": True,
        "attachment": True,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "limit": {"context": 100_000, "output": 10_000},
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "fake",
        "options": {"baseURL": f"{url}/v1", "apiKey": "sk-test"},
        "models": {"fake-model": model, "other-model": model},
    }
    return {
        "autoupdate": False,
        "share": "disabled",
        "model": "fake/fake-model",
        "small_model": "fake/fake-model",
        "enabled_providers": ["fake"],
        "provider": {"fake": provider},
        "permission": {"bash": "ask", "edit": "ask"},
    }


def prepare_home(home: Path, port: int) -> None:
    """The settings that keep each agent quiet and make it use the API."""
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text(
        f"""
model = "gpt-5-codex"
model_provider = "fake"
check_for_update_on_startup = false
[model_providers.fake]
name = "fake"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
env_key = "FAKE_API_KEY"
request_max_retries = 1
stream_max_retries = 1
[analytics]
enabled = false
[features]
plugins = false
apps = false
remote_plugin = false
"""
    )
    (home / ".gemini").mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
    }
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))


def _namespace_options() -> list[str]:
    """How to get a network namespace here: as root directly, else inside of a user namespace."""
    for options in (["-n"], ["-rn"]):
        tool = shutil.which("unshare")
        if (
            tool
            and subprocess.run([tool, *options, "true"], capture_output=True, check=False).returncode == 0
        ):
            return options
    complain("network namespaces are not permitted here (unshare -n)")
    raise AssertionError


@asynccontextmanager
async def open_lab(base: Path) -> AsyncGenerator[Lab]:
    """A lab for the length of a block; in the end nothing of its agents may be alive."""
    options = _namespace_options()
    server = await trio.lowlevel.open_process(
        ["unshare", *options, sys.executable, str(FAKE_API), "--raise-loopback"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            got = await server.stdout.receive_some(1)
            assert got, "the fake API did not start"
            line += got
        users = ["-U", "--preserve-credentials"] if options == ["-rn"] else []
        lab = Lab(base, server, int(line), ["nsenter", "-t", str(server.pid), *users, "-n", "--"])
        lab.workdir.mkdir()
        prepare_home(lab.home, lab.port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lab.listen)
            yield lab
            nursery.cancel_scope.cancel()
        assert lab.survivors() == []
    finally:
        server.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 30):
            await server.wait()
        for stream in (server.stdin, server.stdout):
            assert stream is not None
            await trio.aclose_forcefully(stream)
