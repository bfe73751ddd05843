"""The completion scripts, in the shells themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest

from optio_agents.cli import main
from optio_agents.cli.completion import SHELLS
from optio_agents.cli.main import COMMANDS

BASH = """
source "$1"
COMP_WORDS=(optio-agents {words}) COMP_CWORD={position}
_shtab_optio_agents
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = tmp_path / "script"
    path.write_text(capsys.readouterr().out)
    return path


def output(*command: str) -> list[str]:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t")[0] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [("''", 1, set(COMMANDS)), ("run --time", 2, {"--timeout"}), ("run --stdin n", 3, {"null"})],
)
def test_bash_completes(
    words: str, position: int, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script("bash", tmp_path, capsys)
    found = output("bash", "-c", BASH.format(words=words, position=position), "bash", str(path))
    assert expected <= set(found)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("optio-agents ", set(COMMANDS)),
        ("optio-agents run --time", {"--timeout"}),
        ("optio-agents run --stdin n", {"null"}),
    ],
)
def test_fish_completes(
    line: str, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script("fish", tmp_path, capsys)
    found = output("fish", "--no-config", "-c", f"source {path}; complete -C '{line}'")
    assert expected <= set(found)


def test_every_shell_has_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shell in SHELLS:
        text = script(shell, tmp_path, capsys).read_text()
        assert all(command in text for command in COMMANDS)
        assert "overwrite" in text
    assert script("zsh", tmp_path, capsys).read_text().startswith("#compdef optio-agents")
