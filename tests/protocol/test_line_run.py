from optio_agents.protocol.features import DEFAULT_FEATURES
from optio_agents.protocol.line_run import FIRST_LIMIT, LineRun
from optio_agents.protocol.parser import line_parser


def test_only_the_lines_that_are_asked_for_are_decoded() -> None:
    decoded: list[str] = []
    parse = line_parser(DEFAULT_FEATURES)

    def counting(line: str) -> object:
        decoded.append(line)
        return parse(line)

    data = b"".join(b"%d\n" % number for number in range(1_000))
    run = LineRun(data, 0, len(data), 1_000, counting, every=False)  # type: ignore[arg-type]
    assert decoded == []
    assert run.last == (None, "999")
    assert decoded == ["999"]
    assert len(run.first) == FIRST_LIMIT
    assert len(decoded) <= FIRST_LIMIT + 2
    assert run.first is run.first


def test_a_view_stays_within_its_bounds_and_skips_blank_lines() -> None:
    data = b"before\n\n a\n \n\nSTATUS: 7% b\n\t\nafter\n"
    start, end = data.index(b"\n") + 1, data.index(b"after")
    run = LineRun(data, start, end, 2, line_parser(DEFAULT_FEATURES), every=False)
    assert run.first == ((None, " a"), (7, "b"))
    assert run.last == (7, "b")
