"""What always holds of a conversation, over histories in which a backend's words come late, twice, swapped
or never (`history.py`). In continuous integration there are 10,000 of them.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.conversation.history import run

HISTORIES = 10_000 if os.environ.get("CI") else 1_000


def test_what_always_holds_whatever_the_backend_does() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        derandomize=not os.environ.get("CI"),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )
    @given(st.binary(min_size=20, max_size=300))
    def histories(steps: bytes) -> None:
        history = run(steps)
        seen["histories"] += 1
        seen.update(end.fate.name for end in history.ends.values())
        seen.update(receipt.kind.name for receipt in history.receipts.values() if receipt is not None)
        seen.update(result.status.name for result in history.results)
        seen.update(history.settled.values())
        seen.update(f"{result.origin.name} {result.status.name}" for result in history.results)

    histories()
    print(dict(seen))
    assert seen["histories"] >= HISTORIES
    # The histories reach everything that can happen, not only its beginning.
    reached = {"ANSWERED", "FOLDED", "REJECTED", "UNSENT", "INTERRUPTED", "FINISHED", "NOTHING_RUNNING"}
    reached |= {"UNANSWERED", "COMPLETED", "FAILED", "LOST", "answered", "interrupted", "withdrawn", "closed"}
    reached |= {f"AGENT {status}" for status in ("COMPLETED", "INTERRUPTED", "FAILED", "LOST")}
    assert reached <= set(seen)
