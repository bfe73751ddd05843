"""A file system of the agent's that hangs, fails, ends early or goes on: one outcome, the loop free, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_fuse import SIZE
from tests.support.fuse_sessions import ANSWER, scenarios

SCENARIOS = list(scenarios())
SECONDS = 30.0
"""A step that never ends takes longer, a busy machine does not."""

MEMORY_KIB = 60_000


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if not os.path.exists("/dev/fuse") or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs FUSE and mount namespaces")
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.support.fuse_sessions", str(tmp_path_factory.mktemp("fuse"))],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == 77:
        pytest.skip("FUSE cannot be mounted here")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[str(each) for each in SCENARIOS])
def test_one_outcome_the_loop_is_free_and_nothing_is_left(results: list[dict[str, Any]], number: int) -> None:
    result, scenario = results[number], SCENARIOS[number]
    note = str(result)
    assert result["seconds"] < SECONDS, note
    assert result["worst"] < 10 * ANSWER, note
    assert (result["left open"], result["left"]) == ([], False), note
    assert result["memory"] < MEMORY_KIB, note
    if scenario.place.startswith("deliverables"):
        kind = {"truncate": "changed", "excess": "accepted"}.get(scenario.fault, "unreadable")
        assert result["deliverables"] == {"mounted/x": kind, "good": "accepted"}, note
        assert result["ending"] == "done", note
    else:
        # What was mounted over the log or the workdir is not entered, so that nothing of it is waited for.
        assert result["failed"], note
        assert result["ending"] in ("failed", "body-ended"), note
        assert "mounted" not in result["deliverables"], note


def test_an_endless_file_is_read_to_the_size_that_it_had(results: list[dict[str, Any]]) -> None:
    sizes = [each["sizes"]["mounted/x"] for each in results if each["fault"] == "excess"]
    assert sizes == [SIZE, SIZE]
