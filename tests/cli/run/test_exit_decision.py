import pytest

from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.run.exit_decision import Stop, judge
from optio_agents.hosts.base import LogLost
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionOutcome

INTERRUPT = Stop(ExitCode.INTERRUPTED, "SIGINT")
REJECTED = DeliverableRecord("a.txt", False, "there is no such file", RejectionKind.MISSING)


def judged(
    outcome: SessionOutcome, stop: Stop | None = None, cause: BaseException | None = None, **unsaved: str
) -> tuple[ExitCode, str]:
    result = judge(outcome, status="exit status 7", stop=stop, unsaved=unsaved, cause=cause)
    return result.code, result.reason


@pytest.mark.parametrize("stop", [None, INTERRUPT])
def test_what_the_agent_said_first_wins(stop: Stop | None) -> None:
    assert judged(SessionOutcome(Ending.DONE, "all of it"), stop) == (ExitCode.DONE, "all of it")
    assert judged(SessionOutcome(Ending.ERROR, "no luck"), stop) == (ExitCode.ERROR, "no luck")
    ended = judged(SessionOutcome(Ending.BODY_ENDED), stop)
    assert ended == (ExitCode.ENDED_EARLY, "the agent ended before DONE (exit status 7)")


def test_a_cancelled_run_says_by_whom() -> None:
    timeout = Stop(ExitCode.TIMEOUT, "not done after 5 seconds")
    assert judged(SessionOutcome(Ending.CANCELLED), INTERRUPT) == (ExitCode.INTERRUPTED, "SIGINT")
    assert judged(SessionOutcome(Ending.CANCELLED), timeout)[0] is ExitCode.TIMEOUT


def test_done_without_having_saved_everything_is_not_done() -> None:
    code, reason = judged(SessionOutcome(Ending.DONE), a="No space left on device", b="the same")
    assert code is ExitCode.IO_ERROR
    assert reason == "could not save a: No space left on device (and 1 more)"


def test_strict_is_the_agents_failure_unless_the_disk_was_full() -> None:
    failed = SessionOutcome(Ending.FAILED, deliverables=(REJECTED,))
    assert judged(failed) == (ExitCode.ERROR, "DONE, but not accepted: a.txt")
    assert judged(failed, a="No space left on device")[0] is ExitCode.IO_ERROR
    assert judged(SessionOutcome(Ending.DONE, deliverables=(REJECTED,)))[0] is ExitCode.DONE


def test_a_file_system_that_fails_is_no_bug() -> None:
    failed = SessionOutcome(Ending.FAILED, "the session's reader failed")
    lost = judged(failed, cause=LogLost("optio.log is a directory"))
    assert lost == (ExitCode.IO_ERROR, "the log is lost: optio.log is a directory")
    assert judged(failed, cause=OSError(5, "I/O error")) == (ExitCode.IO_ERROR, "[Errno 5] I/O error")
    stuck = SessionOutcome(Ending.FAILED, "DONE, but 1 announced thing was not settled", unsettled=1)
    assert judged(stuck)[0] is ExitCode.IO_ERROR


def test_anything_else_is_our_bug() -> None:
    failed = SessionOutcome(Ending.FAILED, "odd")
    assert judged(failed, cause=KeyError()) == (ExitCode.BUG, "odd")
    assert judged(SessionOutcome(Ending.CANCELLED))[0] is ExitCode.BUG
    assert judged(SessionOutcome(Ending.BODY_FAILED))[0] is ExitCode.BUG
