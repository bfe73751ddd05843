"""An agent's process: its environment, the report of its end, and its complete removal."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.process import ConversationProcess, StderrExcerpt, start_process
from optio_agents.conversation.values import AgentNotStarted

HANG_GUARD = 60.0
PATIENT = ConversationOptions(ask_seconds=HANG_GUARD, term_seconds=HANG_GUARD)


@asynccontextmanager
async def shell(
    script: str,
    workdir: Path,
    *,
    options: ConversationOptions = PATIENT,
    environment: Mapping[str, str] = os.environ,
    home: str | None = None,
) -> AsyncGenerator[ConversationProcess]:
    """An agent that is a shell script; finished at the end of the block."""
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            agent = await start_process(
                nursery,
                "agent",
                ["sh", "-c", script],
                cwd=str(workdir),
                environment=environment,
                home=home,
                options=options,
            )
            try:
                yield agent
            finally:
                await agent.finish()


async def printed(agent: ConversationProcess) -> str:
    """Everything that it prints."""
    output = b""
    while data := await agent.receive():
        output += data
    return output.decode()


async def test_it_works_in_its_directory_with_a_home_and_a_temporary_directory_of_its_own(
    tmp_path: Path,
) -> None:
    script = 'touch "$TMPDIR/leftover"; echo "$PWD|$HOME|$TMPDIR|$MINE"'
    environment = {"PATH": os.environ["PATH"], "MINE": "yes", "HOME": "/not/this/one"}
    async with shell(script, tmp_path, environment=environment, home="/its/home") as agent:
        directory, home, temporary, mine = (await printed(agent)).strip().split("|")
        assert (directory, home, mine) == (str(tmp_path), "/its/home", "yes")
        assert temporary != os.environ.get("TMPDIR")
        assert Path(temporary, "leftover").exists()
    assert not Path(temporary).exists()


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 0", "agent ended (exit status 0)"),
        ("echo no key >&2; exit 3", "agent ended (exit status 3); its stderr: no key"),
        ("kill -SEGV $$", "agent ended (killed by SIGSEGV)"),
    ],
)
async def test_how_it_ended_is_told_with_its_last_words(tmp_path: Path, script: str, how: str) -> None:
    async with shell(script, tmp_path) as agent:
        assert await printed(agent) == ""
        assert await agent.wait() == how


async def test_an_agent_that_ends_with_its_input_gets_no_signal(tmp_path: Path) -> None:
    async with shell("cat; echo bye", tmp_path) as agent, trio.open_nursery() as nursery:
        await agent.send(b"hello\n")
        nursery.start_soon(partial(agent.end, ask=True))
        assert await printed(agent) == "hello\nbye\n"
        assert await agent.wait() == "agent ended (exit status 0)"


@pytest.mark.parametrize(
    ("trap", "term_seconds", "how"),
    [("", HANG_GUARD, "SIGTERM"), ("trap '' TERM; ", 0.05, "SIGKILL")],
    ids=["asked", "asked in vain"],
)
async def test_an_agent_that_does_not_end_with_its_input_is_ended_by_signals(
    tmp_path: Path, trap: str, term_seconds: float, how: str
) -> None:
    script = f"{trap}echo up; while :; do sleep 100; done"
    options = ConversationOptions(ask_seconds=0.05, term_seconds=term_seconds)
    async with shell(script, tmp_path, options=options) as agent, trio.open_nursery() as nursery:
        assert await agent.receive() == b"up\n"
        nursery.start_soon(partial(agent.end, ask=True))
        assert await printed(agent) == ""
        assert await agent.wait() == f"agent ended (killed by {how})"


async def test_what_cannot_be_run_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    for command, cwd, reason in [
        (["/nowhere/agent"], tmp_path, "no program '/nowhere/agent'"),
        (["sh"], tmp_path / "missing", "no directory"),
        ([str(broken)], tmp_path, "broken cannot be run: No such file or directory"),
    ]:
        async with trio.open_nursery() as nursery:
            with pytest.raises(AgentNotStarted, match=reason):
                await start_process(
                    nursery,
                    "agent",
                    command,
                    cwd=str(cwd),
                    environment=os.environ,
                    home=None,
                    options=PATIENT,
                )


def test_of_what_it_wrote_to_stderr_the_beginning_and_the_end_are_kept() -> None:
    stderr_excerpt = StderrExcerpt()
    for number in range(10_000):
        stderr_excerpt.add(b"line %d\n" % number)
    beginning, _, end = str(stderr_excerpt).partition("\n...\n")
    assert beginning.startswith("line 0\nline 1\n")
    assert end.endswith("line 9998\nline 9999")
    assert len(str(stderr_excerpt)) < StderrExcerpt.HEAD + StderrExcerpt.TAIL + 10
    assert len(stderr_excerpt.excerpt(100)) < 250
