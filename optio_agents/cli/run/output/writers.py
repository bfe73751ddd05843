"""Writing events for the user: one writer task, so that a blocked terminal does not block the session.

`show` never blocks, because the session calls it. Events that a slow reader does not take in time are dropped and
counted, so memory is bounded. The last event, how the run ended, is always written.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from optio_agents.cli.color import ColorChoice, color_options
from optio_agents.cli.run.output.events import RunEnded, RunEvent
from optio_agents.cli.run.output.json_lines import as_line, dropped_line
from optio_agents.cli.run.output.keys import Keys
from optio_agents.cli.run.output.plain_text import event_line, headline, readable
from optio_agents.cli.run.output.typed_line import TypedLine
from optio_agents.cli.run.settings import RunSettings, Show
from optio_agents.hosts.background import running_in_background
from optio_agents.session.events import AttentionAsked

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from rich.console import Console

    from optio_agents.cli.run.output.live_display import Display
    from optio_agents.cli.run.output.live_view import RunView

QUEUE_LIMIT = 4 * 1024 * 1024
"""How many characters wait for a slow reader before what comes next is dropped."""

FRAME_SECONDS = 0.1
"""How often the live display is drawn: its clock and its spinner move."""

RESTORE_SECONDS = 1.0
"""How long a terminal that stands still may take to get its cursor back."""

Write = Callable[[str], None]
Send = Callable[[str], Awaitable[None]]


class Output(ABC):
    """One way of showing a run. `run` is its task; it ends once `RunEnded` has been shown."""

    @abstractmethod
    def show(self, event: RunEvent) -> None:
        """Queue `event`; never blocks."""

    @abstractmethod
    async def run(self) -> None:
        """Write the queued events, up to `RunEnded`.

        Raises:
            BrokenPipeError: the reader has gone.
        """


class QuietOutput(Output):
    """Shows nothing."""

    def show(self, event: RunEvent) -> None:
        """Do nothing."""

    async def run(self) -> None:
        """Return at once."""
        await trio.lowlevel.checkpoint()


class LineOutput(Output):
    """One line per event.

    Args:
        line: makes the line for an event (and the seconds since the run began); None leaves it out.
        dropped: makes the line that replaces a number of dropped events.
        write: writes a text; may block, called in a thread.
        limit: the most characters that wait.
    """

    def __init__(
        self,
        line: Callable[[RunEvent, float], str | None],
        dropped: Callable[[int, float], str],
        write: Write,
        *,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._line = line
        self._dropped_line = dropped
        self._write = write
        self._began = trio.current_time()
        self._waiting: list[str] = []
        self._size = 0
        self._limit = limit
        self._dropped = 0
        self._ended = False
        self._more = trio.Event()

    def show(self, event: RunEvent) -> None:
        """Queue its line."""
        elapsed = trio.current_time() - self._began
        self._ended = self._ended or isinstance(event, RunEnded)
        line = self._line(event, elapsed)
        if line is not None and self._size + len(line) > self._limit and not self._ended:
            self._dropped += 1
            return
        if self._dropped:
            self._waiting.append(self._dropped_line(self._dropped, elapsed))
            self._dropped = 0
        if line is not None:
            self._waiting.append(line)
            self._size += len(line)
        self._more.set()

    async def run(self) -> None:
        """Write the lines as they arrive, all waiting ones at once."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            text = "".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            ended = self._ended
            if text:
                await trio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)
            if ended:
                return


class LiveOutput(Output):
    """The live display on a terminal.

    Args:
        view: what is shown.
        display: draws it.
        console: where it is drawn.
        send: called with each typed line; it must not raise. None: no input is read.
        keys: the keyboard.
    """

    def __init__(
        self,
        view: RunView,
        display: Display,
        console: Console,
        send: Send | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._view = view
        self._display = display
        self._console = console
        self._send = send
        self._keys = keys
        self._began = trio.current_time()
        self._ended = trio.Event()
        self._wake = trio.Event()
        self._stop_asked = False
        self._bell = False

    def show(self, event: RunEvent) -> None:
        """Update the view; the next frame shows it."""
        self._view.apply(event)
        self._bell = self._bell or isinstance(event, AttentionAsked)
        if isinstance(event, RunEnded):
            self._ended.set()
            self._wake.set()

    async def run(self) -> None:
        """Draw a frame every `FRAME_SECONDS`, and a last one that remains on the screen."""
        async with running_in_background(self._watch_stop), running_in_background(self._read_keys):
            await self._draw_all()

    async def _draw_all(self) -> None:
        from rich.live import Live

        live = Live(
            self._display,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        try:
            self._take_keys()
            await self._draw(live.start)
            while not self._ended.is_set():
                await self._draw(live.refresh)
                if self._bell:
                    self._bell = False
                    await self._draw(self._console.bell)
                self._wake = trio.Event()
                with trio.move_on_after(FRAME_SECONDS):
                    if not self._ended.is_set() and not self._stop_asked:
                        await self._wake.wait()
                if self._stop_asked:
                    self._stop_asked = False
                    await self._draw(live.stop)
                    self._give_keys_back()
                    _stop_until_continued()
                    self._take_keys()
                    await self._draw(live.start)
            await self._draw(live.refresh)
            await self._draw(live.stop)
            await self._draw(self._show_end)
        finally:
            self._give_keys_back()
            with trio.move_on_after(RESTORE_SECONDS, shield=True):
                await trio.to_thread.run_sync(live.stop, abandon_on_cancel=True)

    async def _watch_stop(self) -> None:
        """On Ctrl-Z, restore the terminal's cursor and mode before we stop."""
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            return
        with trio.open_signal_receiver(signal.SIGTSTP, signal.SIGCONT) as signals:
            async for number in signals:
                if number == signal.SIGCONT:
                    self._take_keys()  # it may have been brought to the foreground
                    continue
                self._stop_asked = True
                self._wake.set()

    async def _read_keys(self) -> None:
        if self._keys is None or self._send is None:
            return
        line = TypedLine()
        while data := await self._keys.read():
            lines = line.feed(data)
            self._view.typed = line.text
            self._wake.set()
            for complete in lines:
                self._view.notes.append(f"you: {readable(complete)}")
                await self._send(complete)

    def _take_keys(self) -> None:
        if self._keys is not None:
            self._keys.take()
            self._view.typed = self._view.typed or ""

    def _give_keys_back(self) -> None:
        if self._keys is not None:
            self._keys.give_back()

    def _show_end(self) -> None:
        from optio_agents.cli.run.output.live_display import render_end

        ended = self._view.ended
        if ended is not None:
            self._console.print(render_end(ended, ascii_only=self._console.options.ascii_only))

    async def _draw(self, draw: Callable[[], None]) -> None:
        """Call `draw` in a thread, on a snapshot: the terminal may block while the session continues."""
        self._display.view = self._view.copy()
        self._display.elapsed = trio.current_time() - self._began
        await trio.to_thread.run_sync(draw, abandon_on_cancel=True)


def _stop_until_continued() -> None:
    """Do what SIGTSTP does by default; return after SIGCONT (at once if no shell could continue us)."""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        signal.raise_signal(signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGTSTP, ours)


class _RawStdout(io.RawIOBase):
    """stdout without Python's buffer, for rich (see `write_all`)."""

    name = "<stdout>"

    def fileno(self) -> int:
        return sys.stdout.fileno()

    def isatty(self) -> bool:
        return sys.stdout.isatty()

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        write_all(memoryview(data))
        return memoryview(data).nbytes


def write_all(data: memoryview) -> None:
    """Write `data` to stdout without Python's buffer: a thread blocked in that would keep Python from exiting."""
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def write_stdout(text: str) -> None:
    """Write `text` to stdout (see `write_all`)."""
    write_all(memoryview(text.encode(sys.stdout.encoding, "replace")))


def open_console(color: ColorChoice = "auto") -> Console:
    """A rich console on stdout."""
    from rich.console import Console

    # Some tools export COLUMNS=0, which rich would use as the width.
    width = None if os.environ.get("COLUMNS", "").strip() != "0" else shutil.get_terminal_size().columns
    return Console(
        width=width,
        **color_options(color),
        file=io.TextIOWrapper(
            _RawStdout(), encoding=sys.stdout.encoding, errors="replace", write_through=True
        ),
    )


def choose_output(settings: RunSettings, send: Send | None = None) -> Output:
    """The output that `settings` choose, on this process's stdout; `send` gets lines typed at a live display."""
    if settings.show is Show.QUIET:
        return QuietOutput()
    if settings.show is Show.JSON:
        return LineOutput(json_formatter(settings.deliverables), dropped_line, write_stdout)
    if sys.stdout.isatty():
        from optio_agents.cli.run.output.live_display import Display
        from optio_agents.cli.run.output.live_view import RunView

        console = open_console(settings.color)
        if console.is_terminal and not console.is_dumb_terminal:
            view = RunView(title_of(settings.command))
            listens = send is not None and settings.stdin == "messages" and os.isatty(0)
            return LiveOutput(view, Display(view.copy()), console, send, Keys(0) if listens else None)
    return LineOutput(plain_line, plain_dropped, write_stdout)


def json_formatter(store: Path) -> Callable[[RunEvent, float], str | None]:
    """The formatter for JSON output; `store` is the directory of saved deliverables."""
    return lambda event, elapsed: as_line(event, store, elapsed)


def plain_line(event: RunEvent, elapsed: float) -> str | None:
    """The formatter for plain output."""
    del elapsed
    if isinstance(event, RunEnded):
        return None if event.code else headline(event) + "\n"
    line = event_line(event)
    return None if line is None else line + "\n"


def plain_dropped(count: int, elapsed: float) -> str:
    """The text that replaces `count` dropped lines."""
    del elapsed
    return f"... {count} lines left out: the reader is slow\n"


def title_of(command: tuple[str, ...]) -> str:
    """A short name for `command`: the script rather than its interpreter."""
    program = Path(command[0]).name
    if (
        len(command) > 1
        and program.startswith(("python", "bash", "sh", "node"))
        and not command[1].startswith("-")
    ):
        return Path(command[1]).name
    return program
