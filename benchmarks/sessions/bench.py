"""What every group of rows needs: the rivals, the logs, the size of the run, and interleaved measuring."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sessions.logs import Logs, Mix
from benchmarks.sessions.rivals import ProbeFailed, Rival

Samples = dict[str, list[Any]]
"""What each rival answered, by its name."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark.

    `quick` is for a look within two minutes: fewer rounds, smaller logs. `mongo` is a URI, if there is a server.
    """

    published: Rival
    asyncio: Rival
    trio: Rival
    floors: tuple[Rival, Rival]
    logs: Logs
    quick: bool
    mongo: str | None
    said: list[str] = field(default_factory=list)

    @property
    def rivals(self) -> tuple[Rival, Rival, Rival]:
        """All who are measured."""
        return self.published, self.asyncio, self.trio

    def pick(self, quick: Any, full: Any) -> Any:
        """One of two sizes."""
        return quick if self.quick else full

    def rounds(self, rivals: Sequence[Rival], times: int, measurement: str, /, **parameters: Any) -> Samples:
        """Measure each rival `times` times, taking turns."""
        return self.turns([(rival, measurement, parameters) for rival in rivals], times)

    def turns(self, probes: Sequence[tuple[Rival, str, dict[str, Any]]], times: int) -> Samples:
        """Run each probe `times` times, taking turns, so that a change of the machine's mood hits all alike.

        A measurement that fails is noted as `{"failed": why}`.
        """
        samples: Samples = {rival.name: [] for rival, _, _ in probes}
        for _ in range(times):
            for rival, measurement, parameters in probes:
                samples[rival.name].append(self.try_probe(rival, measurement, **parameters))
        return samples

    def try_probe(self, rival: Rival, measurement: str, /, **parameters: Any) -> dict[str, Any]:
        """One measurement, or `{"failed": why}`."""
        began = time.monotonic()
        try:
            answer = rival.probe(measurement, **parameters)
        except ProbeFailed as failure:
            why = str(failure).strip().splitlines()[-1]
            self.say(f"  failed: {why}")
            return {"failed": why}
        self.say(f"{measurement}, {rival.name}: {time.monotonic() - began:.1f} s")
        return answer

    def say(self, text: str) -> None:
        """Print what is being measured."""
        print(text, file=sys.stderr, flush=True)


def good(samples: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], float]) -> list[float]:
    """`read` of each measurement that succeeded."""
    return [read(sample) for sample in samples if is_good(sample)]


def is_good(sample: dict[str, Any]) -> bool:
    """Whether the measurement came to its end, and the session that was measured to a good one."""
    return not any(sample.get(key) for key in ("failed", "error", "errors"))


def of_log(mix: Mix) -> dict[str, Any]:
    """The parameters of a throughput measurement that depend on the mix."""
    return {"deliverables": mix.deliverables, "caller_messages": mix.caller_messages}
