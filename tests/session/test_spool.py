"""The spool: a queue in order, partly in memory and partly in its file."""

from __future__ import annotations

import os
from collections import deque

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from optio_agents.session import spool as spool_module
from optio_agents.session.spool import Spool, SpoolFull
from tests.support.descriptors import open_descriptors

ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class SpoolModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.segment, spool_module.SEGMENT = spool_module.SEGMENT, 64
        self.spool: Spool[object] = Spool(10)
        self.model: deque[tuple[object, int]] = deque()

    @rule(item=ITEMS, size=st.integers(0, 15), count=st.integers(1, 4))
    def put(self, item: object, size: int, count: int) -> None:
        self.spool.put([item], size, count)
        self.model.append(([item], count))

    @rule(limit=st.integers(1, 9))
    def take(self, limit: int) -> None:
        taken = self.spool.take(limit)
        expected = [self.model.popleft() for _ in taken]
        assert taken == [item for item, _ in expected]
        assert sum(count for _, count in expected[:-1]) < limit
        assert bool(taken) == bool(expected or self.model)

    @invariant()
    def counts(self) -> None:
        assert len(self.spool) == sum(count for _, count in self.model)

    def teardown(self) -> None:
        spool_module.SEGMENT = self.segment
        self.spool.close()


TestSpool = SpoolModel.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_memory_holds_no_more_than_its_share() -> None:
    spool: Spool[str] = Spool(100)
    for _ in range(50):
        spool.put("x" * 10, 10)
    assert spool.is_over_high_water
    assert spool.spilled == 40
    assert len(spool) == 50
    spool.close()


def test_one_item_larger_than_the_share_is_kept_and_given_back() -> None:
    spool: Spool[str] = Spool(4)
    spool.put("much too large", 1000)
    spool.put("next", 4)
    assert spool.take(2) + spool.take(2) == ["much too large", "next"]
    spool.close()


def test_a_file_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("optio_agents.session.spool.tempfile.TemporaryFile", full)
    spool: Spool[str] = Spool(1)
    spool.put("a", 1)
    with pytest.raises(OSError, match="No space left"):
        spool.put("b", 1)


def size_on_disk(before: set[str]) -> int:
    """Bytes of the files that have been opened since `before`."""
    return sum(os.fstat(int(number)).st_size for number in set(open_descriptors()) - before)


def test_what_was_read_is_given_back_to_the_disk() -> None:
    """300 MB pass through, of which 3 MB wait at any time."""
    before = set(open_descriptors())
    spool: Spool[str] = Spool(256 * 1024)
    waiting, most, files = 0, 0, 0
    for _ in range(300):
        while waiting < 3000:
            spool.put("x" * 1000, 1000)
            waiting += 1
        most = max(most, size_on_disk(before))
        files = max(files, len(set(open_descriptors()) - before))
        for _ in range(10):
            waiting -= len(spool.take(100))
    assert most < 12_000_000
    assert files <= 4
    spool.close()
    assert set(open_descriptors()) == before


def test_more_than_the_disk_may_hold_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT", 1000)
    monkeypatch.setattr(spool_module, "DISK_LIMIT", 100_000)
    before = set(open_descriptors())
    spool: Spool[str] = Spool(1000)
    with pytest.raises(SpoolFull):
        for _ in range(1000):
            spool.put("x" * 1000, 1000)
    assert size_on_disk(before) < 300_000
    spool.close()


def test_nothing_waits_in_a_spool_that_was_closed() -> None:
    spool: Spool[str] = Spool(5)
    for item in ("in memory", "in a file"):
        spool.put(item, 5)
    assert len(spool) == 2
    spool.close()
    assert len(spool) == 0
    assert spool.take(9) == []
    spool.close()
