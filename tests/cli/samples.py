"""One of each event, with texts that are as unpleasant as an agent's can be."""

from pathlib import Path

from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.run.output.events import AgentStarted, RunEnded, RunEvent, RunInterrupted
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    CallerMessage,
    ClientMessage,
    DeliverableSettled,
    Ended,
    LineHinted,
    MessageSent,
    ProblemReported,
    ProgressReported,
)
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionOutcome

NASTY = "one\ntwo \x1b[31mred\x1b[0m \x07\ud800 \u202etxet\u202c"

ACCEPTED = DeliverableRecord("out/report.md", True, "accepted", size=1536, sha256="ab" * 32)
REJECTED = DeliverableRecord("missing.txt", False, "there is no such file", RejectionKind.MISSING)
FAILED = DeliverableRecord("big.bin", False, "the trouble is on our side", failed=True, size=3 * 1024**3)

DONE = RunEnded(
    ExitCode.DONE,
    "all of it",
    elapsed=75.2,
    outcome=SessionOutcome(Ending.DONE, "all of it", (ACCEPTED, REJECTED), 2, lines=7),
    saved=1,
    store=Path.cwd() / "out",
)
EARLY = RunEnded(
    ExitCode.ENDED_EARLY,
    "the agent ended before DONE (exit status 3)",
    elapsed=3.0,
    outcome=SessionOutcome(Ending.BODY_ENDED, problems=(NASTY,), abandoned=("body at x.py:1",)),
    unsaved={"big.bin": "No space left on device"},
    tail=("Traceback:", "KeyError"),
    output=Path("/tmp/kept.log"),
    hints=("look there",),
)

EVERY: list[RunEvent] = [
    AgentStarted(("/usr/bin/agent", NASTY), 4711, Path("/tmp/work")),
    AgentStarted(("./agent", NASTY), None, Path("/tmp/work"), host=NASTY),
    ProgressReported(5, NASTY),
    ProgressReported(None, NASTY),
    ProgressReported(50, None),
    DeliverableSettled(ACCEPTED),
    DeliverableSettled(REJECTED),
    DeliverableSettled(FAILED),
    AttentionAsked(NASTY),
    BrowserAsked(NASTY),
    ClientMessage(NASTY, {"a": NASTY}),
    CallerMessage(NASTY, [1, NASTY]),
    MessageSent(NASTY, True),
    MessageSent(NASTY, False),
    LineHinted(NASTY, NASTY),
    ProblemReported(NASTY),
    RunInterrupted(NASTY),
    Ended(SessionOutcome(Ending.DONE)),
    DONE,
    EARLY,
]
