import sys
from pathlib import Path

from tests.support.cli_run import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "rejected_agent.py"


def test_a_refused_report_is_put_right(tmp_path: Path) -> None:
    result = run("run", "--json", "--strict", "--", sys.executable, str(EXAMPLE), "0", cwd=tmp_path)
    assert result.code == 0, result.err
    settled = [
        (event["path"], event["accepted"], event["kind"])
        for event in result.events
        if event["event"] == "deliverable"
    ]
    assert settled[:2] == [("primes.csv", True, None), ("primes.png", True, None)]
    assert settled[2][1:] == (False, "outside")
    assert settled[3] == ("report.md", True, None)
    percents = [event["percent"] for event in result.events if event.get("percent") is not None]
    assert percents == sorted(percents)
    assert "17,984" in result.ended["reason"]  # the number of primes below 200,000
    delivered = tmp_path / "deliverables"
    assert (delivered / "primes.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len((delivered / "primes.csv").read_text().splitlines()) == 65
    assert "17,984" in (delivered / "report.md").read_text()
