import pytest

from optio_agents.cli.run.output.typed_line import TypedLine


@pytest.mark.parametrize(
    ("typed", "lines", "rest"),
    [
        ([b"layout two\r"], ["layout two"], ""),
        ([b"on", b"e\ntw", b"o"], ["one"], "two"),
        ([b"\r\n  \r"], [], ""),
        ([b"helo\x7flo\r"], ["hello"], ""),
        ([b"one two\x17three\r", b"gone\x15kept"], ["onethree"], "kept"),
        (["\u00fc".encode()[:1], "\u00fc".encode()[1:] + b"\r"], ["\u00fc"], ""),
        ([b"a\x1b[Db\x1bOAc\x1b", b"[3", b"~d\r"], ["abcd"], ""),
        ([b"\x00\x07a\xe2\x80\xaeb\r"], ["ab"], ""),
    ],
)
def test_keys_become_lines(typed: list[bytes], lines: list[str], rest: str) -> None:
    line = TypedLine()
    assert [each for data in typed for each in line.feed(data)] == lines
    assert line.text == rest
