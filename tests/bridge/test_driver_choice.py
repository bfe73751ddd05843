"""Which driver is taken, and that no other module needs what is private to Trio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.bridge import driver_choice
from optio_agents.bridge.driver_choice import driver_class
from optio_agents.bridge.public_driver import PublicDriver
from tests.support import public_trio

if public_trio.IS_WANTED:
    pytest.skip("there is no choice where Trio's private parts are hidden", allow_module_level=True)

ROOT = Path(__file__).parents[2]
FOLDERS = ("actors", "optio_agents", "tests", "benchmarks", "examples")
MAY_USE_PRIVATE_PARTS = {"optio_agents/bridge/driver.py", "actors/testing/schedule.py"}


@pytest.fixture(autouse=True)
def nothing_chosen_yet(monkeypatch: pytest.MonkeyPatch, trio_driver: str) -> Iterator[None]:
    monkeypatch.delenv(driver_choice.VARIABLE)
    driver_choice._stepping_or_public.cache_clear()
    yield
    driver_choice._stepping_or_public.cache_clear()


def test_this_trio_is_stepped() -> None:
    assert driver_class().__name__ == "SteppingDriver"
    assert not trio.lowlevel.in_trio_run()


def test_one_driver_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(driver_choice.VARIABLE, "public")
    assert driver_class() is PublicDriver
    monkeypatch.setenv(driver_choice.VARIABLE, "fastest")
    with pytest.raises(ValueError, match="'fastest': it must be `public`, `stepping`"):
        driver_class()


def test_a_trio_that_works_in_another_way_is_driven_by_its_public_guest_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = trio.lowlevel.start_guest_run

    def start_guest_run(main: Any, *, run_sync_soon_threadsafe: Any, **options: Any) -> None:
        """As a Trio would be whose steps are functions that tell us nothing."""
        real(main, run_sync_soon_threadsafe=lambda step: run_sync_soon_threadsafe(lambda: step()), **options)

    monkeypatch.setattr(trio.lowlevel, "start_guest_run", start_guest_run)
    assert driver_class() is PublicDriver
    monkeypatch.setenv(driver_choice.VARIABLE, "stepping")
    with pytest.raises(AttributeError):
        driver_class()
    assert not trio.lowlevel.in_trio_run()


def test_a_trio_whose_wake_up_is_not_seen_is_not_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "optio_agents.bridge.driver._WakeUp.wakeup_thread_and_signal_safe"
    monkeypatch.setattr(name, lambda self: None)
    assert driver_class() is PublicDriver


def test_only_two_files_use_what_is_private_to_trio() -> None:
    private = re.compile(r"(?<![\"'`])\btrio\._[a-z]|\bfrom trio import _")
    sources = [path for name in FOLDERS for path in (ROOT / name).rglob("*.py")]
    users = {str(path.relative_to(ROOT)) for path in sources if private.search(path.read_text())}
    assert users == MAY_USE_PRIVATE_PARTS
