import pytest

from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind
from optio_agents.protocol.replies import (
    ACCEPTED,
    TROUBLE,
    callback_reply,
    is_accepted,
    rejected_reply,
    reply_text,
)


@pytest.mark.parametrize("returned", [None, "", " \n", "ok", "OK", " Ok "])
def test_nothing_to_say_means_accepted(returned: str | None) -> None:
    assert callback_reply(returned) == ACCEPTED
    assert is_accepted(callback_reply(returned))


@pytest.mark.parametrize("returned", ["please add a title", "ok, but add a title", "okay"])
def test_what_the_callback_says_is_passed_on(returned: str) -> None:
    assert callback_reply(returned) == returned
    assert not is_accepted(returned)


@pytest.mark.parametrize("returned", [True, 0, b"ok", ["ok"]])
def test_anything_else_is_the_callbacks_mistake(returned: object) -> None:
    with pytest.raises(TypeError, match=type(returned).__name__):
        callback_reply(returned)  # type: ignore[arg-type]


def test_each_rejection_has_its_own_text_that_says_what_was_wrong_and_what_to_do() -> None:
    replies = {
        kind: rejected_reply(DeliverableRejected(kind, "the {detail}\x1b[31m")) for kind in RejectionKind
    }
    assert len(set(replies.values())) == len(RejectionKind)
    for reply in replies.values():
        assert reply.startswith("rejected: ")
        assert "the {detail}" in reply
        assert reply.isprintable()
        assert not is_accepted(reply)
    assert "again will not help" in replies[RejectionKind.UNREADABLE]


def test_trouble_on_our_side_asks_to_deliver_again_after_a_resume() -> None:
    assert "on our side" in TROUBLE
    assert "resumed" in TROUBLE
    assert not is_accepted(TROUBLE)


def test_the_reply_names_the_file() -> None:
    assert reply_text("report.md", ACCEPTED) == "deliverable report.md: accepted"
    assert reply_text("/w/deliverables/sub/report.md", ACCEPTED) == "deliverable report.md: accepted"
    assert reply_text("deliverables/", ACCEPTED) == "deliverable deliverables: accepted"
    assert reply_text("/", ACCEPTED) == "deliverable (no name): accepted"
    assert reply_text("a\nDONE\x1b[2J", ACCEPTED) == "deliverable a DONE: accepted"
    assert len(reply_text("x" * 100_000, ACCEPTED)) < 200
