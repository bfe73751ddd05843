from itertools import pairwise

import pytest
from hypothesis import example, given, settings, strategies as st

from optio_agents.protocol import scanner as scanner_module
from optio_agents.protocol.events import (
    CallerMessageEvent,
    DeliverableEvent,
    DoneEvent,
    ErrorEvent,
    LogEvent,
    StatusEvent,
    UnknownLine,
)
from optio_agents.protocol.features import ALL_FEATURES, DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.line_run import LineRun
from optio_agents.protocol.messages import CallerMessages
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.scanner import Record, Scanner
from tests.support.log_lines import any_features, log_lines

FINDERS = ["expression", "automaton"]

both_finders = pytest.mark.parametrize("finder", FINDERS)


def make_scanner(finder: str, features: ProtocolFeatures, *, every: bool = False) -> Scanner:
    if finder == "automaton":
        pytest.importorskip("ahocorasick_rs")
    scanner = Scanner(features, every=every)
    if finder == "expression":
        scanner._fast = None
    return scanner


def flatten(records: list[Record]) -> list[LogEvent]:
    """The records with each run taken apart into its lines."""
    events: list[LogEvent] = []
    for record in records:
        if isinstance(record, LineRun):
            lines = list(record.lines())
            assert len(lines) == record.count > 0
            events += lines
        elif isinstance(record, CallerMessages):
            events += [CallerMessageEvent(*message) for message in record.messages]
        else:
            events.append(record)
    return events


def line_by_line(lines: list[bytes], features: ProtocolFeatures) -> tuple[list[LogEvent], int]:
    """What the scanner must find, and how many bytes it must use."""
    events: list[LogEvent] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        text = line.decode(errors="replace")
        if text.strip():
            events.append(parse_log_line(text, features=features))
            if isinstance(events[-1], DoneEvent | ErrorEvent):
                break
    return events, used


raw_lines = log_lines.map(lambda line: line.encode(errors="replace")) | st.sampled_from(
    [
        b"",
        b"",
        b" ",
        b"\t \xc2\xa0",
        b"\xe2\x80\x83",
        b"\xe2\x80",
        b"\xff\xfe",
        b"\xe3\x80\x80x",
        b"DONEx",
        b"plain",
    ]
)


@both_finders
@settings(deadline=None)
@given(lines=st.lists(raw_lines, max_size=12), features=any_features)
@example(lines=[b"", b"", b"DONE"], features=DEFAULT_FEATURES)
@example(lines=[b"a", b"", b"DONE"], features=DEFAULT_FEATURES)
@example(lines=[b"a", b"", b"", b" ", b"", b"DELIVERABLE: x", b"", b""], features=DEFAULT_FEATURES)
@example(lines=[b"a", b" ", b"DONE"], features=DEFAULT_FEATURES)
def test_it_agrees_with_the_parser_line_by_line(
    finder: str, lines: list[bytes], features: ProtocolFeatures
) -> None:
    scanner = make_scanner(finder, features)
    data = b"".join(line + b"\n" for line in lines)
    events, used = line_by_line(lines, features)
    assert flatten(scanner.scan(data)) == events
    assert scanner.consumed == used
    assert scanner.ended == any(isinstance(event, DoneEvent | ErrorEvent) for event in events)


@both_finders
@settings(deadline=None)
@given(lines=st.lists(raw_lines, max_size=12), cuts=st.sets(st.integers(0, 12)), features=any_features)
def test_any_chunking_at_line_ends_gives_the_same(
    finder: str, lines: list[bytes], cuts: set[int], features: ProtocolFeatures
) -> None:
    whole = make_scanner(finder, features)
    in_pieces = make_scanner(finder, features)
    expected = flatten(whole.scan(b"".join(line + b"\n" for line in lines)))
    found: list[LogEvent] = []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(lines)), len(lines)]
    for start, end in pairwise(bounds):
        found += flatten(in_pieces.scan(b"".join(line + b"\n" for line in lines[start:end])))
    assert found == expected


@both_finders
@settings(deadline=None)
@given(lines=st.lists(raw_lines, max_size=12), limit=st.integers(1, 5), features=any_features)
def test_any_limit_gives_the_same_in_slices(
    finder: str, lines: list[bytes], limit: int, features: ProtocolFeatures
) -> None:
    data = b"".join(line + b"\n" for line in lines)
    events, used = line_by_line(lines, features)
    scanner = make_scanner(finder, features)
    found: list[LogEvent] = []
    start = 0
    while start < len(data) and not scanner.ended:
        records = scanner.scan(data, start, limit=limit)
        assert sum(not isinstance(each, LineRun) for each in records) <= limit + 1
        assert scanner.consumed > start
        found += flatten(records)
        start = scanner.consumed
    assert (found, start) == (events, used)


@both_finders
def test_neighbouring_lines_are_one_run_and_order_is_kept(finder: str) -> None:
    scanner = make_scanner(finder, DEFAULT_FEATURES)
    data = b"STATUS: 5% a\nb\n\nDELIVERABLE: f\nDELIVERABLE: g\n \nc\nDONE: ok\nSTATUS: late\n"
    first, deliverable, other, second, done = scanner.scan(data)
    assert isinstance(first, LineRun)
    assert (first.count, first.first, first.last) == (2, ((5, "a"), (None, "b")), (None, "b"))
    assert (deliverable, other) == (DeliverableEvent("f"), DeliverableEvent("g"))
    assert isinstance(second, LineRun)
    assert second.first == ((None, "c"),)
    assert done == DoneEvent("ok")


@both_finders
def test_nothing_is_read_after_the_end(finder: str) -> None:
    scanner = make_scanner(finder, DEFAULT_FEATURES)
    assert scanner.scan(b"ERROR: no\nDONE\n") == [ErrorEvent("no")]
    assert scanner.consumed == len(b"ERROR: no\n")
    assert scanner.scan(b"DONE\n") == []
    assert scanner.consumed == 0


@both_finders
def test_bytes_are_framed_before_they_are_decoded(finder: str) -> None:
    scanner = make_scanner(finder, ALL_FEATURES)
    data = b'\xff\nSTATUS: \xe2\x82\nCALLER_MESSAGE: k "\xff"\n\xc2\nDONE\n'
    assert flatten(scanner.scan(data)) == [
        UnknownLine("\ufffd"),
        StatusEvent(None, "\ufffd"),
        CallerMessageEvent("k", "\ufffd"),
        UnknownLine("\ufffd"),
        DoneEvent(None),
    ]


@both_finders
def test_a_big_run_is_counted_without_its_blank_lines(finder: str) -> None:
    scanner = make_scanner(finder, DEFAULT_FEATURES)
    lines = [b"STATUS: %d%% step %d" % (number % 100, number) for number in range(5_000)]
    [run] = scanner.scan(b"\n\n \n\t\n".join(lines) + b"\n")
    assert isinstance(run, LineRun)
    assert run.count == 5_000
    assert len(run.first) == 11
    assert run.first[0] == (0, "step 0")
    assert run.last == (99, "step 4999")


def test_every_line_is_there_for_those_who_want_them() -> None:
    scanner = make_scanner("expression", DEFAULT_FEATURES, every=True)
    [run] = scanner.scan(b"".join(b"%d\n" % number for number in range(100)))
    assert isinstance(run, LineRun)
    assert run.first == tuple((None, str(number)) for number in range(100))


def test_windows_full_of_indented_lines_put_the_automaton_aside_for_a_while() -> None:
    scanner = make_scanner("automaton", DEFAULT_FEATURES)
    indented = b"at\n    somewhere in the middle\n" * 100
    asked: list[bytes] = []
    fast = scanner._fast
    assert fast is not None

    def counting(data: bytes, start: int) -> list[int]:
        asked.append(data)
        return list(fast(data, start))

    scanner._fast = counting
    for _ in range(scanner_module._FUTILE_PAUSE + 2):
        [run] = scanner.scan(indented)
        assert isinstance(run, LineRun)
        assert run.count == 200
    assert len(asked) == 2


def test_it_works_without_the_optional_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner_module, "ahocorasick_rs", None)
    scanner_module._automaton_finder.cache_clear()
    try:
        assert flatten(Scanner(ALL_FEATURES).scan(b"a\nDONE\n")) == [UnknownLine("a"), DoneEvent(None)]
    finally:
        scanner_module._automaton_finder.cache_clear()
