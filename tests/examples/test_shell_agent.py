import subprocess
from pathlib import Path

from tests.support.cli_run import HANG_GUARD, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "shell_agent.sh"


def test_it_delivers_text_and_bytes(tmp_path: Path) -> None:
    result = run("run", "--json", "--", str(EXAMPLE), cwd=tmp_path)
    assert result.code == 0, result.err
    assert result.ended["reason"] == "Delivered a text and a binary file"
    assert (tmp_path / "deliverables" / "bytes.bin").read_bytes() == b"\0\1\xff\n"
    assert (tmp_path / "deliverables" / "system.txt").read_text().startswith("Linux")


def test_it_gives_up_with_the_reason_when_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deliverables").mkdir()
    ended = subprocess.run(
        [EXAMPLE],
        cwd=tmp_path,
        input="System: something else\nSystem: deliverable system.txt: not today\n",
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert ended.returncode == 1
    assert (tmp_path / "optio.log").read_text().splitlines()[-1] == "ERROR: system.txt was refused: not today"
