"""The test kit: probes, seeded schedules, faults at every step, leak checks. Virtual time is trio's `MockClock`.

Where things are:

    probe.py       an actor that a test talks through: expect, expect_nothing, fish
    schedule.py    run under a seeded scheduler; the one file that uses private parts of trio
    steps.py       cancel, or fail, at every single step of a scenario
    leaks.py       what a test must not leave behind

All of it as pytest fixtures: `pytest_actors.py`, beside this package.
"""

from actors.testing.api import *  # noqa: F403
