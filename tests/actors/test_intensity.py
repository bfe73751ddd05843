from __future__ import annotations

from hypothesis import given, strategies as st

from actors.intensity import Backoff, Intensity, RestartHistory, Strategy


@given(
    st.lists(st.floats(0, 100), max_size=60).map(sorted),
    st.integers(0, 5),
    st.floats(0.5, 20),
)
def test_never_more_restarts_than_allowed_in_any_window(
    times: list[float], restarts: int, seconds: float
) -> None:
    history = RestartHistory(Intensity(restarts, seconds))
    granted = [time for time in times if history.record(time) is not None]
    for index, begin in enumerate(granted):
        assert len([time for time in granted[index:] if time - begin <= seconds]) <= restarts


@given(st.lists(st.floats(0, 100), max_size=60).map(sorted), st.integers(1, 5), st.floats(0.5, 20))
def test_a_refusal_means_that_the_window_is_full(times: list[float], restarts: int, seconds: float) -> None:
    history = RestartHistory(Intensity(restarts, seconds))
    granted: list[float] = []
    for time in times:
        if history.record(time) is None:
            assert len([earlier for earlier in granted if time - earlier <= seconds]) == restarts
        else:
            granted.append(time)


def test_the_backoff_grows_to_its_limit_and_starts_over_after_a_quiet_window() -> None:
    history = RestartHistory(Intensity(10, 60.0, Backoff(first=1.0, factor=2.0, limit=5.0, jitter=0.0)))
    assert [history.record(at) for at in (0, 1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert history.record(100.0) == 1.0


def test_only_restarts_within_the_window_are_remembered_whatever_failed() -> None:
    history = RestartHistory(Intensity(10, 60.0, causes=(OSError,)))
    assert history.record(0.0, OSError()) is not None
    assert history.record(3600.0, ValueError()) is None
    assert history.count == 0


def test_a_backoff_of_very_many_restarts_stays_finite() -> None:
    assert Backoff(first=1.0, factor=10.0, limit=7.0).delay(10_000) == 7.0


def test_whom_a_failure_takes_along() -> None:
    children = ["a", "b", "c"]
    assert Strategy.ONE_FOR_ONE.affected(children, "b") == ["b"]
    assert Strategy.ONE_FOR_ALL.affected(children, "b") == ["a", "b", "c"]
    assert Strategy.REST_FOR_ONE.affected(children, "b") == ["b", "c"]
