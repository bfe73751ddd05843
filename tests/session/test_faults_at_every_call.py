"""Any exception of the host, the ctx, the callbacks or the observer, anywhere: one outcome that names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio

from actors.testing import run_seeded
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogLost
from optio_agents.protocol.session import Ending, SessionFailed, SessionOptions, SessionOutcome
from optio_agents.session.events import Ended, SessionEvent
from tests.support.faults import Faults, FaultyCtx, FaultyHost
from tests.support.session import MemoryHost
from tests.support.trials import same_descriptors, tasks

SEEDS = range(3)

OF_ONE_EVENT = (
    "ctx.need_attention",
    "ctx.request_browser_open",
    "ctx.client_message",
    "on_deliverable",
    "on_caller_message",
    "agent_sender",
    "browser_url_rewrite",
)
"""What fails there concerns one event: the session goes on."""


class Injected(Exception):  # noqa: N818 - it is none of ours
    def __init__(self) -> None:
        super().__init__("the injected fault")


class FaultyRun:
    """One session with a fault at the point number `at`."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.error = error
        self.faults = Faults(at, error)
        self.host = FaultyHost(self.faults)
        self.ctx = FaultyCtx(self.faults)
        self.ended: list[SessionOutcome] = []
        self.after_execute = 0
        self.returned: SessionOutcome | None = None
        self.raised: BaseException | None = None

    async def session(self) -> None:
        around = self.faults.around

        async def nothing(*args: Any) -> None:
            await trio.lowlevel.checkpoint()

        async def after_execute(hook_ctx: HookContext) -> None:
            self.after_execute += 1

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.write("STATUS: 1% a")
            host.deliver("a", "a")
            host.write("DELIVERABLE: ../b", "BROWSER: http://x", "ATTENTION: c", "CLIENT_MESSAGE: d 1")
            host.write("CALLER_MESSAGE: e 2", "DONE: f")

        async def on_caller_message(*args: Any) -> str:
            return "an answer"

        def rewrite(url: str) -> str:
            self.faults.point("before browser_url_rewrite")
            return url

        def observe(event: SessionEvent) -> None:
            if isinstance(event, Ended):
                self.ended.append(event.outcome)
            self.faults.point(f"after on_event({type(event).__name__})")

        before = tasks()
        try:
            self.returned = await run_log_protocol_session(
                self.host,
                self.ctx,
                body=around("body", body),
                prepare=around("prepare", nothing),
                before_execute=around("before_execute", nothing),
                after_execute=around("after_execute", after_execute),
                on_deliverable=around("on_deliverable", nothing),
                on_caller_message=around("on_caller_message", on_caller_message),
                agent_sender=around("agent_sender", nothing),
                browser_url_rewrite=rewrite,
                protocol=get_protocol(browser="redirect", client_messages=True, caller_messages=True),
                options=SessionOptions(on_event=observe),
            )
        except BaseException as error:
            self.raised = error
        assert tasks() == before
        assert self.host.readers == self.host.open_deliverables == 0


def runs(make: Any, seed: int) -> Iterator[FaultyRun]:
    """A run for each point that is reached."""
    at = 0
    while True:
        at += 1
        run = FaultyRun(at, make())
        with same_descriptors():
            run_seeded(run.session, seed=seed)
        if run.faults.place is None:
            assert run.returned is not None, "undisturbed, it ends well"
            return
        try:
            yield run
        except BaseException as error:
            error.add_note(f"{run.error!r} {run.faults.place} (point {at}, seed {seed})")
            raise


def told(run: FaultyRun) -> str:
    """Everything that the caller gets."""
    texts = run.ctx.messages
    error = run.raised
    while error is not None:
        texts += [repr(error), *getattr(error, "__notes__", ())]
        error = error.__cause__
    for outcome in (run.returned, *run.ended, getattr(run.raised, "outcome", None)):
        if outcome is not None:
            texts += [str(outcome.message), *outcome.problems]
    return "\n".join(texts)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "make", [Injected, lambda: OSError(5, "the injected fault"), lambda: LogLost("the injected fault")]
)
def test_a_fault_at_any_call_gives_one_outcome_that_names_it(make: Any, seed: int) -> None:
    places = set()
    for run in runs(make, seed):
        place = run.faults.place
        assert place is not None
        places.add(place.split()[1])
        # An observer that failed gets no more events.
        told_of_end = "on_event" not in place or place == "after on_event(Ended)"
        assert len(run.ended) == told_of_end, f"{len(run.ended)} outcomes, {place}"
        assert "the injected fault" in told(run), place
        assert (
            run.after_execute == ("setup_workdir" in run.host.calls)
            or "after_execute" in place
            or "setup_workdir" in place
        ), place
        if place.split()[1] in OF_ONE_EVENT:
            assert run.returned is not None, (place, run.raised)
            assert run.returned.ending is Ending.DONE
        elif run.returned is not None:
            # DONE counts, no matter what the body does then; a reader that fails is started again.
            assert place in (
                "after body",
                "before reader.read",
                "after reader.read",
                "before host.open_log",
                "after host.open_log",
            ), place
        elif not isinstance(run.raised, SessionFailed):
            assert run.raised is run.error, place
    assert places >= {
        "host.setup_workdir", "host.prepare_channel", "host.install_scripts", "host.open_log", "reader.read",
        "host.open_deliverable", "deliverable.chunks", "ctx.report_progress", "body", "prepare", "before_execute",
        "after_execute", "on_event(Ended)", *OF_ONE_EVENT,
    }  # fmt: skip


@pytest.mark.parametrize("make", [lambda: SystemExit(3), KeyboardInterrupt])
def test_a_request_to_exit_at_any_call_comes_out_as_itself(make: Any) -> None:
    for run in runs(make, 0):
        assert run.raised is run.error, (run.faults.place, run.raised)
        assert run.after_execute <= 1
