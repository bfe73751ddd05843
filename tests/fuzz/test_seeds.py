"""The cases that were found once, and a few hundred of each target that are always the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

KEPT = [
    line.split()
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("name", TARGETS)
def test_fixed_cases(name: str) -> None:
    for seed in range(300):
        try:
            TARGETS[name](random.Random(seed))
        except Exception as error:
            error.add_note(f"python -m tests.fuzz {name} --seed {seed}")
            raise


def test_kept_cases() -> None:
    for name, seed in KEPT:
        TARGETS[name](random.Random(int(seed)))
