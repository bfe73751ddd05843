import subprocess
import sys
from pathlib import Path

from tests.support.cli_run import HANG_GUARD

EXAMPLE = Path(__file__).parents[2] / "examples" / "hook.py"


def test_hooks_reach_the_host(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, EXAMPLE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert "lines on the host: 3" in lines
    assert "sorted.txt: The sea is calm tonight." in lines
    assert any(line.startswith("notes: sorted by ") for line in lines)
    assert lines[-1] == "done: sorted"
    assert list(tmp_path.iterdir()) == []
