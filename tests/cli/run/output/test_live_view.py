from optio_agents.cli.run.output.events import RunInterrupted
from optio_agents.cli.run.output.live_view import SHOWN_DELIVERABLES, SHOWN_NOTES, RunView
from optio_agents.session.events import (
    AttentionAsked,
    DeliverableSettled,
    MessageSent,
    ProblemReported,
    ProgressReported,
)
from optio_agents.session.outcome import DeliverableRecord
from tests.cli.samples import EVERY


def view_of(*events: object) -> RunView:
    view = RunView("agent")
    for event in events:
        view.apply(event)  # type: ignore[arg-type]
    return view


def test_the_last_known_percent_and_message_stay() -> None:
    view = view_of(
        ProgressReported(40, "reading"), ProgressReported(None, "still"), ProgressReported(60, None)
    )
    assert (view.percent, view.message) == (60, "still")
    assert view_of(ProgressReported(250, "x")).percent == 100
    assert view_of(ProgressReported(-3, "x")).percent == 0


def test_a_redone_deliverable_replaces_its_line() -> None:
    rejected = DeliverableRecord("a", False, "no")
    other = DeliverableRecord("b", True, "accepted", size=1)
    accepted = DeliverableRecord("a", True, "accepted", size=2)
    view = view_of(*map(DeliverableSettled, (rejected, other, accepted)))
    lines = [(line.path, line.verdict) for line in view.deliverables.values()]
    assert lines == [("b", "saved, 1 byte"), ("a", "saved, 2 bytes (redone)")]


def test_it_stays_small_whatever_happens() -> None:
    view = RunView("agent")
    for index in range(1000):
        view.apply(DeliverableSettled(DeliverableRecord(f"file {index}", True, "accepted", size=1)))
        view.apply(ProblemReported("x" * 10_000))
    assert list(view.deliverables)[-1] == "file 999"
    assert len(view.deliverables) == SHOWN_DELIVERABLES
    assert view.more_deliverables == 1000 - SHOWN_DELIVERABLES
    assert len(view.notes) == SHOWN_NOTES


def test_a_message_is_noted_only_when_it_did_not_arrive() -> None:
    view = view_of(MessageSent("one", True), MessageSent("two", False))
    assert list(view.notes) == ["to the agent: two (not delivered)"]


def test_attention_and_the_ending_are_kept() -> None:
    view = view_of(AttentionAsked("first"), AttentionAsked("second"), RunInterrupted("SIGINT"))
    assert (view.attention, view.ending) == ("second", "SIGINT")


def test_a_copy_does_not_change_any_more() -> None:
    view = view_of(*EVERY[:8])
    copy = view.copy()
    before = (list(copy.deliverables), list(copy.notes), copy.percent)
    for event in EVERY:
        view.apply(event)
    view.apply(DeliverableSettled(DeliverableRecord("new", True, "accepted")))
    assert (list(copy.deliverables), list(copy.notes), copy.percent) == before
