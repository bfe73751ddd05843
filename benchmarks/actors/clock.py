"""Two clocks at once: the wall's, and that of the processor time which this process has used.

On a machine that others use too, the wall's clock also counts the neighbours; processor time does not.
"""

from __future__ import annotations

from time import perf_counter, process_time
from typing import NamedTuple


class Lap(NamedTuple):
    """Seconds on both clocks. `cpu` is that of all threads of this process; `None` for another process."""

    wall: float
    cpu: float | None


class Stopwatch:
    """Started by making it."""

    def __init__(self) -> None:
        self._wall, self._cpu = perf_counter(), process_time()

    def lap(self) -> Lap:
        """The time since then."""
        return Lap(perf_counter() - self._wall, process_time() - self._cpu)
