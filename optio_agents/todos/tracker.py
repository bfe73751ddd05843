"""A checklist that follows a conversation and shows in the dashboard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from optio_agents.todos.items import ProgressReport, TodoUpdate
from optio_agents.todos.progress import TodoProgress
from optio_agents.todos.publisher import Publisher
from optio_agents.todos.storage import read_saved, write_saved

Extract = Callable[[dict[str, Any]], TodoUpdate | None]

_logger = logging.getLogger(__name__)


class TodoTracker:
    """The list that an agent keeps, according to its conversation.

    Args:
        extract: Returns the update in one event of the conversation, `None` if there is none.
        ctx: The process context: `report_progress`, and `set_widget_todos` where optio-core has it.

    Construct it anywhere; rows are published while an asyncio loop runs.
    """

    def __init__(self, extract: Extract, ctx: Any) -> None:
        self.extract = extract
        self.ctx = ctx
        self.progress = TodoProgress()
        self._unsubscribe: Callable[[], None] | None = None
        self._may_save = False
        self._is_replaying = False
        self._only_statuses = False
        self._last = _NOTHING
        self._publisher = Publisher(self._publish, "todo list")

    def arm(self, conversation: Any) -> None:
        """Observe the events of `conversation` from now on, until `disarm`. Does nothing if it is armed already."""
        if self._unsubscribe is None:
            self._unsubscribe = conversation.on_event(self.observe)

    def disarm(self) -> None:
        """Stop observing. Idempotent."""
        if self._unsubscribe is not None:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
            unsubscribe()

    def observe(self, event: dict[str, Any]) -> None:
        """Apply the update in an event, if it has one. Never raises: errors are logged."""
        try:
            update = self.extract(event)
            if update is None:
                return
            if not self._is_replaying:
                self._may_save = True
                self.progress.apply(update)
                self._report()
            elif not self._only_statuses:
                self._may_save = True
                self.progress.apply(update)
            elif update.source == "plan" or not self.progress.reconcile_tool(update):
                return
        except Exception:
            _logger.exception("an event's todo list was left out")
            return
        self._publisher.changed()

    def begin_replay(self, *, reconcile: bool = False) -> None:
        """Past events follow: no progress is reported until `end_replay`.

        `reconcile`: the list is known already (from `restore`). Only statuses are corrected, and plans are ignored.
        """
        self._is_replaying, self._only_statuses = True, reconcile

    def end_replay(self) -> None:
        """All past events were observed: report the progress of the list once."""
        self._is_replaying = self._only_statuses = False
        self._report(everything=True)

    async def use_rebuilt(self, progress: TodoProgress) -> None:
        """Use a list that was rebuilt from a transcript: show it and report it."""
        self.progress = progress
        self._may_save = True
        if progress.report() is None:
            self.ctx.report_progress(None)
            self._last = _NOTHING
        else:
            self._report(everything=True)
        self._publisher.changed()
        await self._publisher.settle()

    async def restore(self, host: Any) -> bool:
        """Use the list that `save` left in the workdir: show it and report it.

        Returns:
            Whether there was one. A file that is missing, unreadable or malformed does not count.
        """
        self._may_save = True
        try:
            text = await read_saved(host)
            progress = None if text is None else TodoProgress.from_json(text)
        except Exception:
            _logger.exception("the saved todo list could not be read")
            return False
        if progress is None:
            return False
        self.progress = progress
        self._report(everything=True)
        self._publisher.changed()
        await self._publisher.settle()
        return True

    async def save(self, host: Any) -> None:
        """Leave the list in the workdir for `restore`, and wait until its rows are shown. Failures are logged.

        Does nothing before `restore` or an update: a list that was never read is not overwritten.
        """
        if self._may_save:
            try:
                await write_saved(host, self.progress.to_json())
            except Exception:
                _logger.exception("the todo list could not be saved")
        await self._publisher.settle()

    def _report(self, *, everything: bool = False) -> None:
        """Report what has changed since the last report, or all of it."""
        last, report = self._last, self.progress.report()
        self._last = report or _NOTHING
        if report is None:
            if last.message is not None:
                self.ctx.report_progress(None)
        elif report.message is not None and (everything or report.message != last.message):
            self.ctx.report_progress(report.percent, report.message)
        elif everything or report.percent != last.percent:
            self.ctx.report_progress(report.percent, None)

    async def _publish(self) -> None:
        publish = getattr(self.ctx, "set_widget_todos", None)
        if publish is not None:
            await publish(self.progress.widget_items())


_NOTHING = ProgressReport(-1, None)
"""What was reported last before anything was."""
