"""A workdir as a stream of gzipped tar, and back: the format that optio-host's hosts write and read."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from logging import getLevelName, getLogger
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryFile
from typing import Any

import trio

from optio_agents.hosts.files.transfer import consuming
from optio_agents.hosts.processes.commands import running
from optio_agents.hosts.processes.owned import OwnedProcess

_BLOCK = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_logger = getLogger(__name__)

RunShell = Callable[[str], Awaitable[tuple[int, str]]]
"""Runs a shell command; returns its exit status and what it printed."""


async def archive(
    workdir: str, exclude: Sequence[str] | None, run: RunShell, on_note: Callable[[str, str], None] | None
) -> AsyncIterator[bytes]:
    """The workdir in compressed pieces, without what `exclude` names (tar patterns; `None`: optio-host's defaults).

    What optio-host's capture cap leaves out is left out here, too; its note goes to `on_note(text, level)`.

    Raises:
        RuntimeError: tar failed; the text says how.
    """
    from optio_host.archive import DEFAULT_WORKDIR_EXCLUDES

    patterns = list(DEFAULT_WORKDIR_EXCLUDES if exclude is None else exclude)
    literal = await _left_out(workdir, patterns, run, on_note)
    options = [f"--exclude={pattern}" for pattern in patterns] + [f"--exclude={path}" for path in literal]
    compressor = zlib.compressobj(level=1, wbits=_GZIP)
    async with _tar(["-C", workdir, *options, "-cf", "-", "."], stdout=PIPE) as tar:
        assert tar.stdout is not None
        while block := await tar.stdout.receive_some(_BLOCK):
            # zlib releases the GIL; a block takes a few milliseconds.
            if data := await trio.to_thread.run_sync(compressor.compress, block):
                yield data
    yield compressor.flush()


async def restore(stream: AsyncIterator[bytes], workdir: str) -> None:
    """Unpack a stream made by `archive` (or by optio-host) into `workdir`, which exists.

    Raises:
        RuntimeError: tar failed; the text says how.
    """
    async with _tar(["-C", workdir, "-xzf", "-"], stdin=PIPE) as tar:
        assert tar.stdin is not None
        with suppress(trio.BrokenResourceError):  # tar gave up, and its exit status says so
            async with tar.stdin, consuming(stream):
                async for chunk in stream:
                    await tar.stdin.send_all(chunk)


@asynccontextmanager
async def _tar(
    arguments: list[str], *, stdin: int = DEVNULL, stdout: int = DEVNULL
) -> AsyncIterator[OwnedProcess]:
    """A running tar. Its exit status is checked when the block is left without an exception."""
    with TemporaryFile() as errors:
        async with running(
            ["tar", *arguments], stdin=stdin, stdout=stdout, stderr=errors.fileno()
        ) as process:
            yield process
            code = await process.wait()
        if code:
            errors.seek(0)
            detail = errors.read(2000).decode(errors="replace").strip()
            raise RuntimeError(f"tar failed (exit {code}): {detail}")


async def _left_out(
    workdir: str, patterns: list[str], run: RunShell, on_note: Callable[[str, str], None] | None
) -> list[str]:
    """Patterns for the paths that the capture cap leaves out; none if the cap cannot be computed."""
    from optio_host import capture_cap

    try:
        entries, note = await capture_cap.regenerable_excludes(
            run, workdir, patterns, capture_cap.workdir_capture_max_bytes()
        )
        if entries:
            _, version = await run(capture_cap.TAR_VERSION_COMMAND)
            if not capture_cap.tar_takes_literal_excludes(version):
                entries, note = [], capture_cap.unknown_tar_note(version)
    except Exception as error:
        text = f"the capture cap could not be applied ({error!r}): everything is captured"
        entries, note = [], capture_cap.CaptureNote(text, capture_cap.WARNING)
        _logger.warning(text, exc_info=True)
    _tell(note, on_note)
    return ["./" + re.sub(r"([\\*?\[])", r"\\\1", entry) for entry in entries]


def _tell(note: Any, on_note: Callable[[str, str], None] | None) -> None:
    if note is None:
        return
    _logger.log(getLevelName(note.level.upper()), "%s", note.text)
    if on_note is not None:
        try:
            on_note(note.text, note.level)
        except Exception:
            _logger.exception("on_note failed; the workdir is captured all the same")
