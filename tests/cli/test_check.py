import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from optio_agents.cli import check
from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.hosts.base import LINE_LIMIT
from tests.support.permissions import file_modes_count


def run(log: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    return check.run(parser.parse_args(["check", str(log), *options]))


def checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: bytes, *options: str
) -> tuple[int, list[str]]:
    file = tmp_path / "optio.log"
    file.write_bytes(log)
    code = run(file, *options)
    return code, capsys.readouterr().out.splitlines()


def test_each_line_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = (
        b"STATUS: reading\nSTATUS: 40% half\n\nDELIVERABLE: deliverables/a.md\nsome text\nATTENTION: come\n"
        b'BROWSER: https://x\nCLIENT_MESSAGE: k {"a": 1}\nCALLER_MESSAGE: k [1]\nDONE: all\nSTATUS: late\n'
    )
    options = ("--browser", "redirect", "--client-messages", "--caller-messages")
    code, shown = checked(tmp_path, capsys, log, *options)
    assert code == 1
    assert [line.strip() for line in shown] == [
        "1  STATUS: reading",
        "2  STATUS at 40%: half",
        "4  DELIVERABLE: a.md",
        "5  plain text: some text",
        "6  ATTENTION: come",
        "7  BROWSER: https://x",
        '8  CLIENT_MESSAGE k: {"a": 1}',
        "9  CALLER_MESSAGE k: [1]",
        "10  DONE: all",
        "11  not read, because the log ended in line 10: STATUS: late",
        "slip: STATUS after the end is lost: write it before DONE or ERROR",
        "1 probable slip",
    ]


@pytest.mark.parametrize(
    ("line", "shown"), [(b"DONE\n", "DONE"), (b"ERROR\n", "ERROR"), (b"ERROR: x\n", "ERROR: x")]
)
def test_every_ending_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, shown: str
) -> None:
    assert checked(tmp_path, capsys, line) == (0, [f"     1  {shown}"])


def test_near_misses_get_a_hint_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(tmp_path, capsys, b"Status: 5% x\nfine\n**DONE**\n")
    assert code == 1
    assert shown[0] == "     1  plain text: Status: 5% x"
    assert "slip: the line `Status: 5% x` was taken as plain text" in shown[1]
    assert shown[2] == "     2  plain text: fine"
    assert "`DONE`" in shown[4]
    assert shown[5] == "2 probable slips"


def test_keywords_that_are_off_are_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(tmp_path, capsys, b"CALLER_MESSAGE: k 1\n")
    assert (code, shown) == (0, ["     1  plain text: CALLER_MESSAGE: k 1"])


def test_a_path_that_would_be_rejected_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(
        tmp_path, capsys, b"DELIVERABLE: ../x\nDELIVERABLE: %s/deliverables/y\n" % bytes(tmp_path)
    )
    assert code == 1
    assert shown[0] == "     1  DELIVERABLE: ../x (rejected)"
    assert "only files in ./deliverables/ can be delivered" in shown[1]
    assert shown[2] == "     2  DELIVERABLE: y"


def test_a_log_is_read_from_stdin(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "optio_agents.cli", "check", "-"]
    done = subprocess.run(command, input=b"**DONE**\n", capture_output=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert b"`**` is before the keyword" in done.stdout


def test_json_gives_one_object_per_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(tmp_path, capsys, b"STATUS: 50 % x\nfine\nDONE\n", "--json")
    assert code == 1
    status, fine, done = [json.loads(line) for line in shown]
    assert (status["number"], status["keyword"]) == (1, "STATUS")
    assert "not read as a percentage" in status["hint"]
    assert (fine["keyword"], fine["hint"], fine["meaning"]) == (None, None, "plain text: fine")
    assert (done["keyword"], done["terminated"]) == ("DONE", True)


def test_a_line_without_a_newline_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(tmp_path, capsys, b"STATUS: x\nDONE")
    assert code == 0
    assert shown[1:] == ["     2  DONE", "        no newline at its end: a running session waits for it"]


def test_what_is_printed_is_harmless_and_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = b"STATUS: \x1b[2J\x00\xffred\rsecond\r\n" + b"x" * (3 * LINE_LIMIT) + b"\n"
    code, shown = checked(tmp_path, capsys, log)
    assert code == 0
    assert shown[:2] == ["     1  STATUS: \ufffdred", "     2  plain text: second"]
    assert len(shown) == 3
    assert len(shown[2]) < 200


def test_an_empty_log_has_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(tmp_path, capsys, b"") == (0, [])
    assert checked(tmp_path, capsys, b"\n \n\n") == (0, [])


def test_a_log_that_cannot_be_read_is_a_clear_usage_error(tmp_path: Path) -> None:
    for log, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(UsageError, match=reason) as caught:
            run(log)
        assert caught.value.code is ExitCode.USAGE


def test_a_log_without_permission_is_a_clear_usage_error(tmp_path: Path) -> None:
    log = tmp_path / "optio.log"
    log.touch(mode=0)
    with file_modes_count(), pytest.raises(UsageError, match="Permission denied"):
        run(log)
