"""The parser: the actor that turns windows of the log into effects, in log order, without ever waiting.

It has no task: the tailer's `tell` runs it. A mailbox between two tasks would cost a turn of the loop for each single
line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import trio

import actors
from optio_agents.hosts.base import LINE_LIMIT, Window
from optio_agents.protocol.coalescing import ProgressCoalescer
from optio_agents.protocol.display import display_text
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.line_run import LineRun, message_of
from optio_agents.protocol.messages import CallerMessages
from optio_agents.protocol.near_miss import near_miss
from optio_agents.protocol.parser import (
    AttentionEvent,
    BrowserEvent,
    CallerMessageEvent,
    ClientMessageEvent,
    DeliverableEvent,
    DoneEvent,
    ErrorEvent,
    StatusEvent,
    UnknownLine,
    line_parser,
)
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected
from optio_agents.protocol.scanner import Record, Scanner
from optio_agents.session.cursor import Cursor
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    CallerMessage,
    ClientMessage,
    LineHinted,
)
from optio_agents.session.log_order import LogOrder
from optio_agents.session.reading import Reading, Signal
from optio_agents.session.recorder import Recorder
from optio_agents.session.verdict import DoneSeen, ErrorSeen, Fact, LogEnded
from optio_agents.session.work_queue import WorkQueue

SLICE = 256
"""Lines that are handled one by one before other tasks get their turn: a few milliseconds."""

EVERY_SLICE = 1024
"""The same in bytes, if every line is reported."""

HINT_LINES = 256
"""Lines of a window that are searched for near misses."""

HINT_WINDOW = 16 * 1024
"""Windows up to this many bytes are searched for near misses: hand-written lines, not a flood. Of a larger window only
the last line is checked, because an agent that now waits has written that line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueues:
    """The queue of each kind of event. Items are JSON values, see `Spool`."""

    deliverables: WorkQueue[str]
    callers: WorkQueue[tuple[str, list[str]]]
    context_calls: Mapping[str, WorkQueue[list[Any]]]
    """By keyword: ATTENTION, BROWSER, CLIENT_MESSAGE."""

    order: LogOrder
    """The log's order across the three."""

    start_worker: Callable[[WorkQueue[Any]], None]
    """Starts a queue's actor on its first item. Most sessions need few of them."""

    hint: Callable[[str], bool]
    """Sends the agent a message if its channel has room; returns whether it had."""

    def all(self) -> tuple[WorkQueue[Any], ...]:
        """Every queue."""
        return self.deliverables, self.callers, *self.context_calls.values()

    async def room(self) -> None:
        """Wait for the queues, see `WorkQueue.room`."""
        for queue in self.all():
            if queue.spool.is_over_high_water:
                await queue.room()

    def call_context(self, keyword: str, arguments: list[Any], size: int) -> None:
        """Put a call of the ctx into the queue of its keyword, and note its place in the log."""
        self.order.put(keyword)
        self.context_calls[keyword].put(arguments, size)


class Parser:
    """Scans windows and puts each event into its queue.

    Args:
        scanner: the sans-IO scanner for `features`.
        features: which keywords are enabled.
        coalescer: decides which progress reaches the ctx.
        queues: receive the events.
        recorder: the session's record.
        workdir: the base of announced paths.
        cursor: the reading position, moved after each handled window.
        tell: sends a fact to the resolver; never waits.
        every: report each line.
    """

    def __init__(
        self,
        scanner: Scanner,
        features: ProtocolFeatures,
        coalescer: ProgressCoalescer,
        queues: WorkQueues,
        recorder: Recorder,
        workdir: str,
        cursor: Cursor,
        tell: Callable[[Fact], None],
        *,
        every: bool = False,
    ) -> None:
        self._scanner = scanner
        self._features = features
        self._parse = line_parser(features)
        self._coalescer = coalescer
        self._queues = queues
        self._recorder = recorder
        self._workdir = workdir
        self._cursor = cursor
        self._tell = tell
        self._every = every
        self._hinted = False
        self._hint: tuple[str, str] | None = None  # a near miss, and its hint for the agent
        self._window: Window | None = None  # not completely handled yet
        self._start = 0  # of the rest of it

    def handle(self, message: Reading) -> None:
        """Handle one window, or continue with one. Nothing counts after DONE or ERROR."""
        if self._cursor.is_over:
            return
        if isinstance(message, Window):
            if not self._take_progress(message):
                self._begin(message)
        elif message is Signal.GO_ON:
            self._go_on()
        else:
            self.flush()
            if message is Signal.LOG_ENDED:
                self._tell(LogEnded())
        due = self._coalescer.due
        self._cursor.due = inf if due is None else due

    def _take_progress(self, window: Window) -> bool:
        """Handle a window that is a single line of progress, which is the usual case.

        Returns:
            Whether it was one. If not, nothing was done.
        """
        data = window.data
        if window.cut or window.lost or window.growing or data.find(b"\n") != len(data) - 1:
            return False
        line = data[:-1].decode(errors="replace")
        event = self._parse(line)
        if not isinstance(event, StatusEvent):
            if not isinstance(event, UnknownLine):
                return False
            if not line or line.isspace():
                self._cursor.position = window.end
                return True
            if not self._hinted and near_miss(line, self._features) is not None:
                return False
        self._recorder.lines += 1
        self._report(self._coalescer.report(*message_of(event), trio.current_time()))
        self._cursor.position = window.end
        return True

    def _begin(self, window: Window) -> None:
        recorder = self._recorder
        recorder.cut_lines += window.cut
        if window.lost:
            recorder.lost_bytes += window.lost
            recorder.problem(f"{window.lost} bytes of the log were gone before they could be read")
        if window.growing:
            recorder.problem("The log is still being written after the agent's end; the rest was not read")
        self._window, self._start = window, 0
        self._go_on()

    def _go_on(self) -> None:
        """Handle the next slice of the current window. The tailer requests the rest after other tasks ran."""
        window, start = self._window, self._start
        if window is None:
            return
        data, scanner = window.data, self._scanner
        end = len(data) if not self._every else _line_end(data, start + EVERY_SLICE)
        piece = data if end == len(data) else data[:end]
        records = scanner.scan(piece, start, limit=SLICE)
        fact = self._act_upon(records, scanner.consumed - start)
        self._start = scanner.consumed
        self._cursor.is_unfinished = not (fact is not None or scanner.ended or self._start == len(data))
        if not self._cursor.is_unfinished:
            self._finish(window, fact)

    def _finish(self, window: Window, fact: Fact | None) -> None:
        """Complete the current window."""
        self._window = None
        if not self._hinted:
            self._look_for_near_miss(window)
        self._cursor.position = window.end
        self._attend_to_queues()
        if fact is not None:
            self._cursor.is_over = True
            self._tell(fact)

    def _attend_to_queues(self) -> None:
        """Start the actors of queues that have their first item, and send the hint about a near miss."""
        needs_room = False
        for queue in self._queues.all():
            needs_room = needs_room or queue.spool.is_over_high_water
            if queue.needs_worker:
                self._queues.start_worker(queue)
        self._cursor.needs_room = needs_room
        if self._hint is not None and not self._hinted:
            line, text = self._hint
            self._hinted = self._queues.hint(text)
            if self._hinted:
                self._recorder.emit(LineHinted(line, text))
        self._hint = None

    def _act_upon(self, records: list[Record], size: int) -> Fact | None:
        """Handle records that were made from `size` bytes."""
        recorder = self._recorder
        count = sum(each.count if isinstance(each, CallerMessages) else 1 for each in records)
        share = size // max(1, count)
        for record in records:
            if isinstance(record, LineRun):
                recorder.lines += record.count
                self._report(self._coalescer.add(record, trio.current_time()))
                continue
            if isinstance(record, CallerMessages):
                recorder.lines += record.count
                self._pass_on(record, share)
                continue
            recorder.lines += 1
            if (fact := self._dispatch(record, share)) is not None:
                return fact
        return None

    def flush(self) -> None:
        """Report what was held back."""
        self._report(self._coalescer.flush(trio.current_time()))

    def _report(self, calls: list[tuple[float | None, str]]) -> None:
        progress = self._recorder.progress
        for percent, message in calls:
            progress(percent, message)

    def _dispatch(self, event: object, share: int) -> Fact | None:
        """Put `event` into its queue. `share` is its part of the window, in bytes, for the queue's accounting."""
        recorder, queues = self._recorder, self._queues
        match event:
            case DeliverableEvent(path):
                self._announce(path)
            case CallerMessageEvent(keyword, data):
                self._pass_on(CallerMessages.of_one(keyword, data), share)
            case ClientMessageEvent(keyword, data):
                recorder.emit(ClientMessage(keyword, data))
                # As text: each garbage collection would traverse thousands of waiting containers.
                queues.call_context("CLIENT_MESSAGE", [keyword, json.dumps(data)], share)
            case BrowserEvent(url):
                recorder.emit(BrowserAsked(url))
                queues.call_context("BROWSER", [url], len(url))
            case AttentionEvent(reason):
                recorder.emit(AttentionAsked(reason))
                queues.call_context("ATTENTION", [display_text(reason)], len(reason))
            case DoneEvent(summary):
                self.flush()
                if summary:
                    recorder.progress(None, display_text(summary))
                return DoneSeen(summary and display_text(summary))
            case ErrorEvent(message):
                self.flush()
                return ErrorSeen(message and display_text(message))
        return None

    def _pass_on(self, block: CallerMessages, share: int) -> None:
        if self._recorder.is_observed:
            for keyword, data in block.messages:
                self._recorder.emit(CallerMessage(keyword, data))
        self._queues.callers.put((block.texts, block.keywords), share * block.count, block.count)

    def _announce(self, path: str) -> None:
        try:
            shown = locate(path, self._workdir)
        except DeliverableRejected:
            pass  # the fetcher detects this as well and replies
        else:
            text = f"Deliverable: {display_text(shown)}"
            self._report(self._coalescer.report(None, text, trio.current_time()))
        self._queues.deliverables.put(path, len(path))

    def _look_for_near_miss(self, window: Window) -> None:
        """Note the first one of a small window, or the last line of a large one."""
        data = window.data
        start = 0 if len(data) <= HINT_WINDOW else data.rfind(b"\n", 0, -1) + 1
        lines = data[start:].splitlines()
        for raw in (*lines[:HINT_LINES], *lines[HINT_LINES:][-1:]):
            if raw.startswith(b"STATUS: "):
                continue  # most lines are, and none of them is a near miss
            line = raw.decode("utf-8", "replace")
            hint = near_miss(line, self._features)
            if hint is not None:
                self._hint = display_text(line), hint.text
                return


def _line_end(data: bytes, place: int) -> int:
    """The end of the line that contains `place`."""
    return data.find(b"\n", place) + 1 or len(data)


def parse(me: actors.InlineMe[Reading], parser: Parser) -> Callable[[Reading], None]:
    """The actor around `Parser`."""
    return parser.handle


def ends_session(features: ProtocolFeatures, partial: bytes) -> bool:
    """Whether an unterminated last line would end the session if nothing follows."""
    line = partial[:LINE_LIMIT].decode("utf-8", "replace")
    return isinstance(line_parser(features)(line), DoneEvent | ErrorEvent)
