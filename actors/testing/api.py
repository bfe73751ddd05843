"""All names of the test kit. `actors.testing` offers the same."""

from actors.testing.leaks import no_leaks
from actors.testing.probe import Probe
from actors.testing.schedule import run_seeded
from actors.testing.steps import InjectedFault, Point, StepReport, cancel_at_every_step, fail_at_every_step

__all__ = [
    "InjectedFault", "Point", "Probe", "StepReport", "cancel_at_every_step", "fail_at_every_step", "no_leaks",
    "run_seeded",
]  # fmt: skip
