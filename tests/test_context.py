"""`HookContext` on a real local host, under Trio."""

from __future__ import annotations

import copy
import hashlib
import io
import os
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import optio_agents.context
from optio_agents.context import HookContext, HookContextProtocol, _resolve_target_path
from optio_agents.hosts.local import LocalHost
from tests.support.session import RecordingCtx


class Ctx(RecordingCtx):
    """A ctx with the rest of what `HookContext` uses."""

    process_id = "p1"
    params: dict[str, Any]
    blobs: dict[str, bytes]

    def __init__(self) -> None:
        super().__init__()
        self.params = {"model": "x"}
        self.metadata: dict[str, Any] = {}
        self.blobs = {}
        self._child_counter = {"next": 3}
        self.children: list[Any] = []
        self.largest_read = 0

    @asynccontextmanager
    async def load_blob(self, file_id: Any) -> AsyncIterator[Any]:
        class Reader:
            def __init__(inner) -> None:  # noqa: N805
                inner.stream = io.BytesIO(self.blobs[str(file_id)])

            async def read(inner, size: int = -1) -> bytes:  # noqa: N805
                await trio.lowlevel.checkpoint()
                self.largest_read = max(self.largest_read, size if size >= 0 else 1 << 62)
                return inner.stream.read(size)

        yield Reader()

    async def run_child_task(self, task: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.children.append(task)


@pytest.fixture
async def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(str(tmp_path / "task"))
    await host.setup_workdir()
    return host


@pytest.fixture
def ctx() -> Ctx:
    return Ctx()


@pytest.fixture
def hook_ctx(ctx: Ctx, host: LocalHost) -> HookContext:
    return HookContext(ctx, host)


# The wrapped ctx.


async def test_what_it_lacks_comes_from_the_ctx(hook_ctx: HookContext, ctx: Ctx) -> None:
    assert hook_ctx.params is ctx.params
    assert hook_ctx.should_continue()
    hook_ctx.report_progress(5, "x")
    assert ctx.of("progress") == [(5, "x")]
    assert isinstance(hook_ctx, HookContextProtocol)


async def test_what_both_lack_is_said_clearly(hook_ctx: HookContext) -> None:
    with pytest.raises(AttributeError, match="neither HookContext nor the wrapped Ctx has 'no_such_thing'"):
        _ = hook_ctx.no_such_thing
    assert not hasattr(hook_ctx, "no_such_thing")


async def test_a_copy_shares_ctx_and_host_and_has_fields_of_its_own(hook_ctx: HookContext) -> None:
    other = copy.copy(hook_ctx)
    assert (other._ctx, other._host) == (hook_ctx._ctx, hook_ctx._host)
    other.browser_launch_env = {"A": "B"}
    assert hook_ctx.browser_launch_env is None


def test_an_empty_instance_does_not_look_for_its_ctx_for_ever() -> None:
    empty = HookContext.__new__(HookContext)
    for name in ("_ctx", "_host", "_agent_sender", "__deepcopy__"):
        with pytest.raises(AttributeError):
            getattr(empty, name)


def test_a_context_of_plain_values_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(HookContext("ctx", "host")))._ctx == "ctx"


# The agent.


async def test_a_message_reaches_the_agent_with_its_prefix(hook_ctx: HookContext) -> None:
    told: list[str] = []

    async def sender(text: str) -> None:
        told.append(text)

    hook_ctx._agent_sender = sender
    assert await hook_ctx.send_to_agent("hello") is True
    assert told == ["System: hello"]


async def test_without_an_agent_or_with_a_dead_one_progress_says_so(hook_ctx: HookContext, ctx: Ctx) -> None:
    async def dead(text: str) -> None:
        raise BrokenPipeError("gone")

    assert await hook_ctx.send_to_agent("hello") is False
    hook_ctx._agent_sender = dead
    assert await hook_ctx.send_to_agent("hello") is False
    assert len(ctx.messages) == 2
    assert "gone" in ctx.messages[1]


async def test_a_send_can_be_cancelled(hook_ctx: HookContext, autojump_clock: trio.testing.MockClock) -> None:
    async def stuck(text: str) -> None:
        await trio.sleep_forever()

    hook_ctx._agent_sender = stuck
    with trio.move_on_after(1) as scope:
        await hook_ctx.send_to_agent("hello")
    assert scope.cancelled_caught


# Commands.


async def test_a_command_s_output_is_returned(hook_ctx: HookContext, host: LocalHost) -> None:
    assert await hook_ctx.run_on_host("pwd; echo err >&2") == f"{host.workdir}\n"
    assert await hook_ctx.run_on_host("pwd", cwd="/") == "/\n"
    assert await hook_ctx.run_on_host("echo err >&2; echo out", capture_stderr=True) == "out\nerr\n"
    assert await hook_ctx.run_on_host("echo a # comment", capture_stderr=True) == "a\n"


async def test_a_command_that_fails_raises_or_is_handed_back(hook_ctx: HookContext) -> None:
    with pytest.raises(optio_agents.context.HostCommandError) as caught:
        await hook_ctx.run_on_host("echo partial; echo why >&2; exit 3")
    assert "3" in str(caught.value)
    result = await hook_ctx.run_on_host("echo partial; exit 3", check=False)
    assert (result.exit_code, result.stdout) == (3, "partial\n")
    result = await hook_ctx.run_on_host("echo why >&2; exit 4", check=False, capture_stderr=True)
    assert (result.exit_code, result.stderr) == (4, "why\n")


async def test_the_failure_s_class_is_looked_up_when_it_is_raised(
    hook_ctx: HookContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mine(Exception):  # noqa: N818
        pass

    monkeypatch.setattr(optio_agents.context, "HostCommandError", Mine)
    with pytest.raises(Mine):
        await hook_ctx.run_on_host("false")


# Files.


async def one(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await trio.lowlevel.checkpoint()
        yield piece


async def test_each_kind_of_source_can_be_copied(
    hook_ctx: HookContext, host: LocalHost, ctx: Ctx, tmp_path: Path
) -> None:
    ctx.blobs["b1"] = b"of a blob"
    source = tmp_path / "source"
    source.write_bytes(b"of a file")
    await hook_ctx.copy_file(b"of bytes", "bytes")
    await hook_ctx.copy_file(str(source), "deep/er/file")
    await hook_ctx.copy_file(source, "path")
    await hook_ctx.copy_file(one(b"of ", b"pieces"), "pieces")
    await hook_ctx.copy_file(ObjectId(), "blob")
    workdir = Path(host.workdir)
    assert {
        str(path.relative_to(workdir)): path.read_bytes() for path in workdir.rglob("*") if path.is_file()
    } == {
        "bytes": b"of bytes",
        "deep/er/file": b"of a file",
        "path": b"of a file",
        "pieces": b"of pieces",
        "blob": b"of a blob",
    }
    with pytest.raises(TypeError, match="not int"):
        await hook_ctx.copy_file(17, "number")


class ObjectId:
    """Has the name of what stands for a stored blob."""

    def __str__(self) -> str:
        return "b1"


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])
async def test_a_blob_is_copied_piece_by_piece(
    hook_ctx: HookContext, host: LocalHost, ctx: Ctx, size: int
) -> None:
    ctx.blobs["b1"] = bytes(size)
    for skip in (False, True):
        await hook_ctx.copy_file(ObjectId(), "blob", skip_if_unchanged=skip)
        assert Path(host.workdir, "blob").read_bytes() == bytes(size)
    assert ctx.largest_read <= 256 * 1024
    assert ctx.messages[-1] == "Already up to date: blob"


async def test_a_blob_reaches_the_host_as_an_iterator_with_its_digest(ctx: Ctx) -> None:
    class Host:
        workdir = "/task"

        async def put_file_to_host(self, source: Any, target: str, **options: Any) -> None:
            received.append((hasattr(source, "__aiter__"), target, options["expected_sha256"]))
            options["progress_cb"](50.0, None)

    received: list[Any] = []
    ctx.blobs["b1"] = b"of a blob"
    hook_ctx = HookContext(ctx, Host())
    await hook_ctx.copy_file(ObjectId(), "blob")
    await hook_ctx.copy_file(ObjectId(), "blob", skip_if_unchanged=True)
    digest = hashlib.sha256(b"of a blob").hexdigest()
    assert received == [(True, "/task/blob", None), (True, "/task/blob", digest)]


async def test_progress_names_the_file_once_per_step(hook_ctx: HookContext, ctx: Ctx) -> None:
    await hook_ctx.copy_file(b"x", "deep/a.txt")
    assert ctx.messages == ["Copying a.txt..."]
    ctx.calls.clear()
    await hook_ctx.copy_file(b"x", "deep/a.txt", skip_if_unchanged=True)
    assert len(ctx.messages) == 2
    assert all(message.count("a.txt") == 1 for message in ctx.messages)
    ctx.calls.clear()
    await hook_ctx.read_from_host("deep/a.txt")
    assert sum("a.txt" in message for message in ctx.messages) == 1
    ctx.calls.clear()
    await hook_ctx.read_from_host("deep/a.txt", silent=True)
    assert ctx.messages == []


async def test_an_unchanged_file_is_not_written_again(hook_ctx: HookContext, host: LocalHost) -> None:
    path = Path(host.workdir, "a")
    await hook_ctx.copy_file(b"x", "a")
    inode = path.stat().st_ino
    await hook_ctx.copy_file(b"x", "a", skip_if_unchanged=True)
    assert path.stat().st_ino == inode
    await hook_ctx.copy_file(b"y", "a", skip_if_unchanged=True)
    assert path.read_bytes() == b"y"


async def test_reading(hook_ctx: HookContext, host: LocalHost) -> None:
    content = os.urandom(300_000)
    Path(host.workdir, "a").write_bytes(content)
    Path(host.workdir, "ä.txt").write_text("grün", "utf-8")
    assert hashlib.sha256(await hook_ctx.read_from_host("a")).digest() == hashlib.sha256(content).digest()
    assert await hook_ctx.read_text_from_host("ä.txt") == "grün"
    with pytest.raises(UnicodeDecodeError):
        await hook_ctx.read_text_from_host("a")
    with pytest.raises(FileNotFoundError):
        await hook_ctx.read_from_host("missing")


async def test_a_download_is_a_child_task(
    hook_ctx: HookContext, host: LocalHost, ctx: Ctx, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    def create(**arguments: Any) -> str:
        made.append(arguments)
        return "the task"

    monkeypatch.setattr(optio_agents.context, "create_download_task", create)
    await hook_ctx.download_file("http://x/y", "z/file", description="d", cleanup_on_fail=False)
    assert ctx.children == ["the task"]
    (arguments,) = made
    assert arguments["url"] == "http://x/y"
    assert arguments["target"] == f"{host.workdir}/z/file"
    assert arguments["host"] is host
    assert (arguments["description"], arguments["cleanup_on_fail"]) == ("d", False)
    assert arguments["process_id"].startswith("p1.")


async def test_the_real_download_task_takes_what_it_is_given(hook_ctx: HookContext, ctx: Ctx) -> None:
    await hook_ctx.download_file("http://x/y", "file")
    assert ctx.children[0].name == "download file"


# Targets.


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("a", "/w/a"),
        ("a/b", "/w/a/b"),
        ("./a", "/w/./a"),
        ("a..b", "/w/a..b"),
        ("/etc/x", "/etc/x"),
        ("/w/../x", "/w/../x"),
        ("~", "/home/me"),
        ("~/a", "/home/me/a"),
        ("~/~/a", "/home/me/~/a"),
        ("~//a", "/home/me/a"),
        ("~you/a", "/w/~you/a"),
        ("a/~/b", "/w/a/~/b"),
    ],
)
def test_where_a_target_lies(target: str, path: str) -> None:
    assert _resolve_target_path(target, "/w", "/home/me") == path


@pytest.mark.parametrize("target", ["", "..", "../a", "a/../b", "a/..", "a\0b"])
def test_targets_that_are_refused(target: str) -> None:
    with pytest.raises(ValueError):
        _resolve_target_path(target, "/w", "/home/me")


async def test_a_refused_target_is_refused_before_anything_is_done(hook_ctx: HookContext, ctx: Ctx) -> None:
    for target in ("", "../x"):
        with pytest.raises(ValueError):
            await hook_ctx.copy_file(b"x", target)
        with pytest.raises(ValueError):
            await hook_ctx.read_from_host(target)
        with pytest.raises(ValueError):
            await hook_ctx.download_file("http://x", target)
    assert ctx.calls == []
    assert ctx.children == []


async def test_the_home_directory_is_the_host_s(
    hook_ctx: HookContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    await hook_ctx.copy_file(b"x", "~/a")
    assert (tmp_path / "a").read_bytes() == b"x"


async def test_a_link_that_was_planted_at_a_target_is_not_followed_out(
    hook_ctx: HookContext, host: LocalHost, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("precious")
    Path(host.workdir, "a").symlink_to(outside / "a")
    Path(host.workdir, "folder").symlink_to(outside)
    await hook_ctx.copy_file(b"x", "a")
    with pytest.raises(OSError):
        await hook_ctx.copy_file(b"x", "folder/a")
    assert (outside / "a").read_text() == "precious"
    assert Path(host.workdir, "a").read_bytes() == b"x"
