"""The test kit: probes, seeded schedules, faults at every step, leak checks. Virtual time is Trio's `MockClock`.

Where things are:

    probe.py       an actor with which a test sends and expects messages: expect, expect_nothing, fish
    schedule.py    run under a seeded scheduler; the one file that uses private parts of trio
    steps.py       cancel, or fail, at every single step of a scenario
    leaks.py       what a test must not leave behind
    plugin.py      all of it as pytest fixtures
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.testing.api import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """Import at first use, for the sake of plugin.py; see `actors`."""
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        api = importlib.import_module("actors.testing.api")

        globals().update({public: getattr(api, public) for public in api.__all__}, __all__=api.__all__)
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module 'actors.testing' has no attribute {name!r}") from None
