"""What becomes of a run's workdir: saved for a resume, forgotten, or left on the host where it can be rescued.

begun ──(filled)──> unsaved ──save──> saved ──(the claim's release)──> the directory is removed
                       └──(no time, no database, the worker is killed)──> left on the host, marked in the record:
                                                                         "resurrect" saves it and resumes
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from optio_agents.session.optio_context import grace_left
from optio_agents.task import saved, waiting_messages
from optio_agents.task.cancellation import unless_cancelled
from optio_agents.task.claim import DirectoryClaim, Disposition
from optio_agents.task.memory import SESSION_BLOB, TRANSCRIPT_BLOB, ConversationMemory
from optio_agents.task.outage import outlast_outage

SAVE_SECONDS = 60.0
"""How long saving the workdir may take after a failure."""

SAVE_SECONDS_CANCELLED = 1.5
"""... and after a cancellation, when it is unknown what is left of optio's grace."""

RESERVE_SECONDS = 2.0
"""How much of optio's grace saving leaves for after_execute, the host's cleanup and the record's final state."""

RESERVE_SHARE = 0.4
"""The most of what is left of a short grace that saving leaves for them."""

_logger = logging.getLogger("optio_agents.task")


class Work:
    """The workdir of one run.

    Args:
        ctx: the process context.
        host: optio-host's, connected.
        claim: on the task directory.
        memory: of the agent's conversation, if it has one.
        resumable: whether the work is worth keeping.
    """

    def __init__(
        self,
        ctx: Any,
        host: Any,
        claim: DirectoryClaim,
        memory: ConversationMemory | None,
        *,
        resumable: bool,
    ) -> None:
        self._ctx = ctx
        self._host = host
        self._claim = claim
        self._memory = memory
        self._resumable = resumable
        self._begun = False
        self._is_saved = False
        if not resumable:
            claim.disposition = Disposition.REMOVE

    async def rescue(self) -> str:
        """Save what an interrupted run has left on the host before this run takes its place.

        Returns:
            What became of it, for the process's log.

        Raises:
            CancelledWhileWaiting: optio requested the end; the work stays on the host.
            ConnectionFailure: the database is away; likewise.
        """
        if not self._resumable:
            return "This run begins from scratch; what the earlier one had done is lost"
        await self._mark("mark_unsaved_work")  # optio has cleared it with the launch
        keep = saved.save if self._ctx.resume else saved.set_aside
        saving = outlast_outage(partial(keep, self._ctx, self._host))
        await unless_cancelled(self._ctx, saving, "the save of an interrupted run's work")
        self._claim.previous = None
        await self._mark("clear_unsaved_work")
        if self._ctx.resume:
            return "This run continues from the work that it left on the host"
        return (
            "This run begins from scratch, as it was not resumed; the work of the earlier one is kept as "
            f"{saved.INTERRUPTED_BLOB}"
        )

    async def restore(self) -> bool:
        """Fill the fresh workdir with what an earlier run has saved, and recall its conversation. Returns False when
        nothing was saved.
        """
        if self._memory is not None:
            await outlast_outage(self._memory.load)
        return await outlast_outage(partial(saved.restore, self._ctx, self._host))

    async def begin(self) -> None:
        """The workdir is filled: from here on it holds work that only a save keeps."""
        self._begun = True
        if self._resumable:
            await self._mark("mark_unsaved_work")

    async def save_cancelled(self) -> None:
        """Save it after a cancellation, within what is left of optio's grace."""
        left = grace_left(self._ctx)
        seconds = SAVE_SECONDS_CANCELLED
        if left is not None:
            seconds = max(0.0, left - min(RESERVE_SECONDS, RESERVE_SHARE * left))
        await self.save(seconds)

    async def save(self, seconds: float = SAVE_SECONDS) -> None:
        """Save it once. Trouble with that is reported and changes nothing about how the run ended: the work stays on
        the host.

        Args:
            seconds: how long it may take.
        """
        if not self._resumable or not self._begun or self._is_saved:
            return
        try:
            async with asyncio.timeout(seconds):
                if self._memory is not None:
                    await outlast_outage(self._memory.save)
                await outlast_outage(partial(saved.save, self._ctx, self._host))
        except Exception as error:  # noqa: BLE001 - after any error, the work stays on the host
            reason = f"it took more than {seconds:.1f} s" if isinstance(error, TimeoutError) else repr(error)
            _logger.warning("the workdir of %s could not be saved: %s", self._ctx.process_id, reason)
            self._ctx.report_progress(
                None,
                f"The work could not be saved: {reason}. It is left in {self._host.workdir}; resurrect the process to "
                "go on from it",
                level="warning",
            )
            return
        self._is_saved = True
        self._claim.disposition = Disposition.REMOVE
        await self._mark("clear_unsaved_work")

    async def forget(self) -> None:
        """The agent is done: there is nothing to resume."""
        self._claim.disposition = Disposition.REMOVE
        if self._resumable:
            names = SESSION_BLOB, TRANSCRIPT_BLOB, waiting_messages.BLOB
            await outlast_outage(partial(saved.forget, self._ctx, *names))
            await self._mark("clear_unsaved_work")

    def end(self, *, keep: bool) -> None:
        """The run is over. A workdir that was never filled is not worth keeping, unless an earlier run left its own.

        Args:
            keep: leave the directory where it is.
        """
        if not self._begun and self._claim.previous is None:
            self._claim.disposition = Disposition.REMOVE
        if keep and self._claim.disposition is Disposition.REMOVE:
            self._claim.disposition = Disposition.KEEP

    async def _mark(self, name: str) -> None:
        mark = getattr(self._ctx, name, None)
        if mark is None:
            return
        try:
            await outlast_outage(mark)
        except Exception as error:
            _logger.warning("%s failed for %s", name, self._ctx.process_id, exc_info=error)
