"""What is fuzzed. Each target takes a generator of random numbers and raises if something is wrong.

A case is its seed: the same number gives the same input, on any machine.
"""

from __future__ import annotations

import json
import posixpath
import random
import re
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import Any

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.hosts.base import LINE_LIMIT, LOG_START, WINDOW_LIMIT, LogLost
from optio_agents.hosts.log.framer import CUT_MARK, Framer
from optio_agents.hosts.log.remote_reader import RemoteLogReader
from optio_agents.input_listener import _take
from optio_agents.protocol.coalescing import ProgressCoalescer
from optio_agents.protocol.display import display_text
from optio_agents.protocol.events import DoneEvent, ErrorEvent, LogEvent
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.line_run import LineRun
from optio_agents.protocol.messages import CallerMessages
from optio_agents.protocol.near_miss import near_miss
from optio_agents.protocol.parser import CallerMessageEvent, parse_log_line
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected
from optio_agents.protocol.scanner import Scanner

Random = random.Random
Target = Callable[[Random], None]

_PIECES = [
    "STATUS:",
    "DELIVERABLE:",
    "DONE",
    "ERROR",
    "BROWSER:",
    "ATTENTION:",
    "CLIENT_MESSAGE:",
    "CALLER_MESSAGE:",
    "done",
    " ",
    "\t",
    "  ",
    ":",
    "50%",
    "1000% ",
    "key ",
    '{"a": 1}',
    "[[1]]",
    '"x',
    "1e999",
    "-0",
    "9" * 20,
    "\\ud800",
    "null",
    "x",
    "é",
    "\u3000",
    "\u202e",
    "\ufeff",
    "\0",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "deliverables/",
    "../",
    "./",
    "/",
    "a" * 300,
]
_ENDS = ["\n"] * 6 + ["\n\n", "\r\n", "\r", " \n"]
_TRANSCRIPTS = Path(__file__).parent.parent / "conversation" / "transcripts"


def text(generator: Random, most: int = 8) -> str:
    """A few pieces that mean something, side by side."""
    return "".join(generator.choice(_PIECES) for _ in range(generator.randrange(most)))


def noise(generator: Random, data: bytes) -> bytes:
    """`data` with a few bytes changed, lost or doubled."""
    mutable = bytearray(data)
    for _ in range(generator.randrange(4)):
        if mutable:
            place = generator.randrange(len(mutable))
            match generator.randrange(3):
                case 0:
                    mutable[place] = generator.randrange(256)
                case 1:
                    del mutable[place : place + generator.randrange(20)]
                case _:
                    mutable[place:place] = mutable[place : place + generator.randrange(20)]
    return bytes(mutable)


def chunks(generator: Random, data: bytes) -> list[bytes]:
    """`data` cut at random places."""
    places = sorted(generator.randrange(len(data) + 1) for _ in range(generator.randrange(6)))
    return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


def scanner(generator: Random) -> None:
    """The scanner finds what the parser says of each line, in slices of any size."""
    features = ProtocolFeatures(
        generator.choice(["ignore", "redirect"]), generator.random() < 0.5, generator.random() < 0.5
    )
    lines = [
        noise(generator, text(generator).encode(errors="replace")).replace(b"\n", b"")
        for _ in range(generator.randrange(12))
    ]
    expected: list[LogEvent] = []
    for line in lines:
        decoded = line.decode(errors="replace")
        if decoded.strip():
            expected.append(parse_log_line(decoded, features=features))
            near_miss(decoded, features)
            if isinstance(expected[-1], DoneEvent | ErrorEvent):
                break
    data = b"".join(line + b"\n" for line in lines)
    scanner, found, start = Scanner(features), list[LogEvent](), 0
    while start < len(data) and not scanner.ended:
        for record in scanner.scan(data, start, limit=generator.randrange(1, 20)):
            if isinstance(record, LineRun):
                found += record.lines()
            elif isinstance(record, CallerMessages):
                found += [CallerMessageEvent(*message) for message in record.messages]
            else:
                found.append(record)
        assert scanner.consumed > start
        start = scanner.consumed
    assert found == expected


def framer(generator: Random) -> None:
    """Any chunking gives the same lines, and they are those of a simple model."""
    data = b"".join(
        (text(generator) + generator.choice(_ENDS)).encode(errors="replace")
        if generator.random() < 0.97
        else b"x" * generator.randrange(2 * LINE_LIMIT)
        for _ in range(generator.randrange(10))
    )
    framer, out, size = Framer(), b"", 0
    for chunk in chunks(generator, data):
        for frame in framer.feed(chunk):
            assert len(frame.data) <= WINDOW_LIMIT
            out, size = out + frame.data, size + frame.size
    if (last := framer.flush()) is not None:
        out, size = out + last.data, size + last.size
    model = re.split(rb"\r\n|\r|\n", data)
    if model[-1] == b"":
        model.pop()
    lines = out.split(b"\n")[:-1]
    assert size == len(data)
    assert len(lines) == len(model)
    for line, whole in zip(lines, model, strict=True):
        head = line.removesuffix(CUT_MARK)
        assert line == whole if len(whole) <= LINE_LIMIT else whole.startswith(head)
        assert len(line) <= LINE_LIMIT


def folding(generator: Random) -> None:
    """No message is lost without being counted, and the last one is shown."""
    coalescer, now, calls, count, last = ProgressCoalescer(), 0.0, list[Any](), 0, ""
    for number in range(generator.randrange(80)):
        now += generator.choice([0.0, 0.0, 0.001, 0.05, 0.2])
        if (due := coalescer.due) is not None and due <= now:
            calls += coalescer.flush(due)
        last = str(number)
        calls += coalescer.report(None, last, now)
        count += 1
    calls += coalescer.flush(now)
    shown = [message for _, message in calls if "dropped)" not in message]
    assert len(shown) + coalescer.dropped == count
    assert shown == sorted(shown, key=int)
    assert not count or shown[-1] == last


def paths(generator: Random) -> None:
    """A path that is taken lies beneath deliverables/, however it is spelled."""
    workdir = generator.choice(["/w", "/w/x y", "/", "//w", "/caf\udce9"])
    path = text(generator)
    try:
        relative = locate(path, workdir)
    except DeliverableRejected:
        return
    base = posixpath.normpath(posixpath.join(workdir, "deliverables"))
    assert posixpath.normpath(posixpath.join(base, relative)).lstrip("/").startswith(base.lstrip("/") + "/")
    assert "\0" not in relative


def display(generator: Random) -> None:
    """What is shown holds nothing that a terminal obeys; showing it again changes nothing."""
    shown = display_text(text(generator, 30), generator.choice([32, 200, 2000]))
    assert not re.search("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert display_text(shown) == shown


def codecs(generator: Random) -> None:
    """No line of a live agent ends a conversation, split into any pieces."""
    make, folder = generator.choice(
        [(_claude, "claude"), (_codex, "codex"), (_acp, "gemini"), (_acp, "opencode"), (_acp, "claude-acp")]
    )
    codec = make()
    codec.start()
    codec.take_output()
    data = b"".join(noise(generator, line) for line in generator.choice(_lines(folder)))
    for chunk in chunks(generator, data):
        codec.receive(chunk)
        codec.take_output()


def remote_log(generator: Random) -> None:
    """A host that lies loses its log; nothing else happens."""
    reader = RemoteLogReader(_NoChannel(), LOG_START, lambda partial: False)
    stream = generator.choice([b"P", b"P", b"P", b"T"])
    for _ in range(generator.randrange(8)):
        kind = generator.choice([b"D", b"D", b"D", b"R", b"E", b"H", b"X", b"?"])
        payload = text(generator).encode(errors="replace") + b"\n"
        length = len(payload) if generator.random() < 0.9 else generator.randrange(2**32)
        stream += kind + pack(">I", length) + payload
    try:
        for chunk in chunks(generator, noise(generator, stream)):
            if chunk:
                reader._take(chunk)
    except LogLost:
        pass
    assert reader._framer.held <= 2**64
    assert all(len(window.data) <= WINDOW_LIMIT for window in reader._windows.ready)


def listener(generator: Random) -> None:
    """Each request has an answer, and what is passed on is a text or a key."""
    passed: list[str] = []

    async def send(what: str) -> None:
        passed.append(what)

    body: dict[str, Any] = {
        generator.choice(["text", "key", "other"]): generator.choice([text(generator), 1, None, [], "Enter"])
    }
    request = _Request(noise(generator, json.dumps(body).encode()))
    status, _ = _finished(_take(request, send, send, None))  # type: ignore[arg-type]
    assert 200 <= status < 600
    assert all(isinstance(each, str) for each in passed)


TARGETS: dict[str, Target] = {
    each.__name__: each for each in (scanner, framer, folding, paths, display, codecs, remote_log, listener)
}


def _claude() -> Codec:
    return ClaudeCodec()


def _codex() -> Codec:
    return CodexCodec(cwd="/workdir")


def _acp() -> Codec:
    return AcpCodec(cwd="/workdir")


class _NoChannel:
    async def receive(self) -> bytes:
        raise AssertionError("it is not asked")

    async def size(self) -> int:
        raise AssertionError("it is not asked")

    def nothing_more_will_be_written(self) -> None:
        pass

    async def stderr_excerpt(self) -> str:
        return ""


class _Request:
    content_type = "application/json"

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.headers: dict[str, str] = {}

    async def read(self) -> bytes:
        return self._body


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


_cache: dict[str, list[list[bytes]]] = {}


def _lines(folder: str) -> list[list[bytes]]:
    """The lines that an agent of this kind wrote, recorded from real ones."""
    if folder not in _cache:
        files = [path for path in sorted((_TRANSCRIPTS / folder).rglob("*")) if path.is_file()]
        _cache[folder] = [path.read_bytes().splitlines(keepends=True)[:40] for path in files]
    return _cache[folder]
