"""Any interleaving of what writers, editors and crashes do to a log, against a model of what is promised.

The model (`World`) knows the files' whole contents and applies the rules at the head of `log_reader` to them
with one regular expression and no incremental state. It knows when the reader could look; what
was truncated before that was never there. On top of the model, two promises are checked by themselves: lines
that stood complete when the reader looked are all handled, and a line is handled again only if it was written
again or its log had shrunk.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from hypothesis import given, settings, strategies as st

from optio_agents.hosts.base import LINE_LIMIT
from optio_agents.hosts.log.framer import CUT_MARK
from optio_agents.hosts.log.log_file import CONTEXT
from tests.support.following import Follower, following

END = re.compile(rb"\r\n|\r|\n")


@dataclass(eq=False)
class File:
    """One inode. Its number is asked of the system, which hands out numbers again."""

    inode: int
    content: bytes


@dataclass
class World:
    """The files, the reader's place in them, and what it must have handed out."""

    named: File | None = None  # what has the log's name
    rotated: list[File] = field(default_factory=list)  # what still lies in the directory under another name
    opened: File | None = None  # what the reader has open
    resuming: bool = False  # it is a new reader that has opened nothing yet
    place: int = 0  # the inode in which it was when it handed out the last line
    offset: int = 0
    before: bytes = b""  # the whole content before the offset, as it was
    lines: list[bytes] = field(default_factory=list)

    def look(self) -> None:
        """The reader reads all that it can."""
        while True:
            if self.opened is None:
                self.opened = self.choose()
            if self.opened is None:
                return
            if not self.stands_in(self.opened):
                self.offset = 0
            self.handle(self.opened)
            if self.named is None or self.named is self.opened:
                return
            self.opened = self.named

    def choose(self) -> File | None:
        """Which file a reader without one opens."""
        if self.resuming and self.offset and not (self.named is not None and self.stands_in(self.named)):
            for file in self.rotated:
                if file.inode == self.place and self.stands_in(file):
                    self.resuming = False
                    return file
        self.resuming = self.resuming and self.named is None
        return self.named

    def restart(self) -> None:
        """A new reader, which has nothing but the position. It opens a file when it looks."""
        self.opened = None
        self.resuming = True

    def stands_in(self, file: File) -> bool:
        stands = file.content[: self.offset]
        return len(stands) == self.offset and stands[-CONTEXT:] == self.before[-CONTEXT:]

    def handle(self, file: File) -> None:
        content = file.content
        at = self.offset
        if content[at - 1 : at] == b"\r" and content[at : at + 1] == b"\n":
            at += 1
        for match in END.finditer(content, at):
            line = content[at : match.start()]
            cut = line[: LINE_LIMIT - len(CUT_MARK)] + CUT_MARK
            self.lines.append(line if len(line) <= LINE_LIMIT else cut)
            self.offset = at = match.end()
            self.place = file.inode
        self.before = content[: self.offset]


class Play:
    """Does one thing after another to the log and to the model."""

    def __init__(self, log: Follower, directory: Path) -> None:
        self.log = log
        self.directory = directory
        self.world = World()
        self.number = 0
        self.shrank = False

    def fresh(self, size: int, end: bytes) -> bytes:
        """A line that was never written before."""
        self.number += 1
        return b"%d %s %d" % (self.number, b"x" * size, self.number) + end

    def file(self, content: bytes) -> File:
        """The file that has just got the log's name."""
        return File(self.log.path.stat().st_ino, content)

    async def append(self, size: int, end: bytes) -> None:
        data = self.fresh(size, end)
        self.log.append(data)
        if self.world.named is None:
            self.world.named = self.file(b"")
        self.world.named.content += data

    async def truncate(self, part: float) -> None:
        if self.world.named is not None:
            size = int(part * len(self.world.named.content))
            self.shrank = self.shrank or size > 0
            os.truncate(self.log.path, size)
            self.world.named.content = self.world.named.content[:size]

    async def rewrite(self, size: int, end: bytes) -> None:
        """Truncated and written again before the reader can look."""
        if self.world.named is not None:
            data = self.fresh(size, b"\n") + self.fresh(size, end)
            self.log.path.write_bytes(data)
            self.world.named.content = data

    async def replace(self, size: int, end: bytes) -> None:
        data = self.fresh(size, end)
        self.log.replace(data)
        self.world.named = self.file(data)

    async def save_with_more(self, size: int, end: bytes) -> None:
        """What an editor does: the same content and a line more, in another inode."""
        if self.world.named is not None:
            data = self.world.named.content + self.fresh(size, end)
            self.log.replace(data)
            self.world.named = self.file(data)

    async def rotate(self) -> None:
        if self.world.named is not None:
            self.log.path.rename(self.directory / f"optio.log.{len(self.world.rotated)}")
            self.world.rotated.append(self.world.named)
            self.world.named = None

    async def look(self) -> None:
        await self.log.look()
        self.world.look()
        assert self.log.failure is None
        assert self.log.lines == self.world.lines

    async def restart(self) -> None:
        await self.look()  # what a reader has handed out and what it has not is known only when it is at rest
        await self.log.stop()
        await self.maybe_unseen()
        self.log.start()
        self.world.restart()

    async def maybe_unseen(self) -> None:
        """While no reader is there, the log goes on."""
        if self.number % 2:
            await self.append(3, b"\n")


sizes = st.sampled_from([0, 1, 50, CONTEXT, 3 * CONTEXT, LINE_LIMIT])
ends = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r", b""])
Step = Callable[[Play], Awaitable[None]]


def step(name: str, *arguments: object) -> tuple[str, tuple[object, ...]]:
    return name, arguments


steps = st.lists(
    st.one_of(
        st.just(step("look")),
        st.builds(step, st.just("append"), sizes, ends),
        st.builds(step, st.sampled_from(["rewrite", "replace", "save_with_more"]), sizes, ends),
        st.builds(step, st.just("truncate"), st.sampled_from([0.0, 0.0, 0.3, 0.9])),
        st.sampled_from([step("rotate"), step("restart"), step("look")]),
    ),
    max_size=20,
)


def play(todo: list[tuple[str, tuple[object, ...]]], *, always_look: bool) -> Play:
    async def main(directory: Path) -> Play:
        async with following(directory, wants=lambda window: len(window.data) % 2 == 0) as log:
            player = Play(log, directory)
            for name, arguments in todo:
                await getattr(player, name)(*arguments)
                if always_look:
                    await player.look()
            await player.look()
        return player

    with TemporaryDirectory() as directory:
        return trio.run(main, Path(directory))


@given(steps)
@settings(deadline=None, max_examples=150)
def test_the_lines_handled_are_the_models_whatever_happens_between_two_looks(
    todo: list[tuple[str, tuple[object, ...]]],
) -> None:
    play(todo, always_look=False)


@given(steps)
@settings(deadline=None, max_examples=150)
def test_a_reader_that_can_look_after_every_step_handles_each_line_once(
    todo: list[tuple[str, tuple[object, ...]]],
) -> None:
    player = play(todo, always_look=True)
    if not player.shrank:
        handled = Counter(line.split(b" ")[0] for line in player.log.lines)
        assert [line for line, count in handled.items() if count > 1] == []
