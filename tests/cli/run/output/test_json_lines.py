import json
from pathlib import Path
from typing import Any

import pytest

from optio_agents.cli.run.output.events import RunEvent
from optio_agents.cli.run.output.json_lines import as_dict, as_line, dropped_line
from optio_agents.session.events import CallerMessage, DeliverableSettled, Ended, ProgressReported
from tests.cli.samples import ACCEPTED, DONE, EARLY, EVERY, NASTY, REJECTED

STORE = Path("/home/me/out")


def fields(event: RunEvent) -> dict[str, Any]:
    made = as_dict(event, STORE)
    assert made is not None
    return made


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_each_is_one_ascii_line_that_says_what_it_is(event: RunEvent) -> None:
    line = as_line(event, STORE, 1.23456)
    if isinstance(event, Ended):
        assert line is None  # RunEnded says it
        return
    assert line is not None
    assert line.isascii()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    decoded = json.loads(line)
    assert next(iter(decoded)) == "event"
    assert isinstance(decoded["elapsed"], float)


def test_texts_and_data_arrive_unchanged() -> None:
    line = as_line(CallerMessage("key", {"deep": [1, None, NASTY]}), STORE, 0)
    assert line is not None
    assert json.loads(line)["data"] == {"deep": [1, None, NASTY]}
    assert fields(ProgressReported(None, NASTY)) == {"event": "progress", "percent": None, "message": NASTY}


def test_a_deliverable_says_where_it_is() -> None:
    assert fields(DeliverableSettled(ACCEPTED)) == {
        "event": "deliverable",
        "path": "out/report.md",
        "accepted": True,
        "kind": None,
        "failed": False,
        "reply": "accepted",
        "size": 1536,
        "sha256": "ab" * 32,
        "saved": "/home/me/out/out/report.md",
    }
    rejected = fields(DeliverableSettled(REJECTED))
    assert (rejected["accepted"], rejected["kind"], rejected["saved"]) == (False, "missing", None)


def test_the_end_tells_everything() -> None:
    done = fields(DONE)
    assert (done["event"], done["exit_code"], done["result"], done["ending"]) == ("ended", 0, "done", "done")
    assert [record["path"] for record in done["deliverables"]] == ["out/report.md", "missing.txt"]
    assert done["elapsed"] == 75.2
    early = fields(EARLY)
    assert (early["exit_code"], early["result"], early["ending"]) == (3, "ended_early", "body-ended")
    assert early["tail"] == ["Traceback:", "KeyError"]
    assert early["unsaved"] == {"big.bin": "No space left on device"}
    assert early["output"] == "/tmp/kept.log"


def test_what_was_dropped_is_told() -> None:
    assert json.loads(dropped_line(7, 1.0)) == {"event": "dropped", "count": 7, "elapsed": 1.0}
