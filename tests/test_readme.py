"""The README tells the truth: its programs run, its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_each_program_runs(program: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_programs_print_what_they_promise(tmp_path: Path) -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
        ).stdout
        for program in PROGRAMS
        if "trio.run" in program
    ]
    assert "found it ['answer.txt']" in printed[0]
    assert printed[1] == "45\n"


def test_each_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("link", re.findall(r"\]\(([a-zA-Z][^):]*)\)", README))
def test_each_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
