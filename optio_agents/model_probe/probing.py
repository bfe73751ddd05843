"""Asking each model a question that every model can answer.

A probe leaves its questions and answers in the conversation. Give it one of its own (see `run_probe_child`), not the
user's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from inspect import isawaitable
from typing import Any

PROBE_QUESTION = "What is the capital city of Hungary?"

SETTLE_SECONDS = 10.0
"""How long a turn that was interrupted may take to end, and switching back to the original model."""

_logger = logging.getLogger(__name__)

SetModel = Callable[[Any, str], Awaitable[object] | object]
Answer = tuple[str, Any]
"""The text of an answer, and an error in its place; `("", None)` when there was neither in time."""


async def probe_models(
    conversation: Any,
    model_ids: Sequence[str],
    *,
    usable_check: Callable[[str, Any], bool],
    set_model: SetModel,
    question: str = PROBE_QUESTION,
    per_model_timeout: float = 30.0,
    error_from_event: Callable[[dict[str, Any]], Any] | None = None,
    report: Callable[[int, int, str], object] | None = None,
) -> dict[str, bool]:
    """Find out which models answer. Never raises, other than when it is cancelled.

    Args:
        conversation: Has `send`, `on_message`, and where they are there `on_event`, `interrupt`, `is_pending` and
            `current_model_id`.
        model_ids: The models, in order.
        usable_check: Judges an answer: its text, and what `error_from_event` gave in place of one.
        set_model: Switches the conversation to a model. May be a coroutine function.
        question: What is asked.
        per_model_timeout: Seconds for each model, switching and sending included.
        error_from_event: The error that an event of the conversation tells; `None` for none.
        report: Called after each model with how many are done, how many there are, and which it was.

    Returns:
        Whether each model is usable. A model is missing if nothing can be said about it, because the turn before did
        not end. The conversation is on its original model again, also after this was cancelled.
    """
    original = getattr(conversation, "current_model_id", None)
    usable: dict[str, bool] = {}
    try:
        for number, model in enumerate(model_ids, start=1):
            if _is_busy(conversation) and not await _idle(conversation, interrupt=number > 1):
                _logger.warning(
                    "the agent does not end its turn: it is unknown whether %s can be used",
                    model_ids[number - 1 :],
                )
                break
            usable[model] = await _is_usable(
                conversation, model, set_model, question, per_model_timeout, error_from_event, usable_check
            )
            _report(report, number, len(model_ids), model)
    finally:
        await _to_its_end(_restore(conversation, original, set_model))
    return usable


async def _is_usable(
    conversation: Any,
    model: str,
    set_model: SetModel,
    question: str,
    seconds: float,
    error_from_event: Callable[[dict[str, Any]], Any] | None,
    usable_check: Callable[[str, Any], bool],
) -> bool:
    try:
        text, error = "", None
        try:
            async with asyncio.timeout(seconds):
                await _maybe_await(set_model(conversation, model))
                text, error = await _ask(conversation, question, error_from_event)
        except TimeoutError:
            await _idle(conversation, interrupt=True, unless_told=seconds)
        return bool(usable_check(text, error))
    except Exception:
        _logger.exception("probing the model %r failed", model)
        return False


async def _ask(
    conversation: Any, question: str, error_from_event: Callable[[dict[str, Any]], Any] | None
) -> Answer:
    """Send the question; the first answer or error."""
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def settle(text: str, error: Any) -> None:
        if not answer.done():
            answer.set_result((text, error))

    def on_event(event: dict[str, Any]) -> None:
        assert error_from_event is not None
        if (error := error_from_event(event)) is not None:
            settle("", error)

    with ExitStack() as subscriptions:
        subscriptions.callback(conversation.on_message(lambda text: settle(text, None)))
        if error_from_event is not None and hasattr(conversation, "on_event"):
            subscriptions.callback(conversation.on_event(on_event))
        await conversation.send(question)
        return await answer


async def _idle(conversation: Any, *, interrupt: bool, unless_told: float = 0.0) -> bool:
    """Wait until the agent has nothing to do, or its late answer would be taken for the next model's.

    Args:
        interrupt: End its turn.
        unless_told: Seconds to wait for a late answer if the conversation cannot tell whether it is busy.

    Returns:
        Whether it has nothing to do, as far as can be told.
    """
    can_tell = hasattr(conversation, "is_pending")
    if can_tell and not _is_busy(conversation):
        return True
    changed = asyncio.Event()
    with ExitStack() as subscriptions:
        for name in ("on_message", "on_event") if can_tell else ("on_message",):
            if hasattr(conversation, name):
                subscriptions.callback(getattr(conversation, name)(lambda _: changed.set()))
        try:
            async with asyncio.timeout(SETTLE_SECONDS if can_tell else unless_told):
                if interrupt and hasattr(conversation, "interrupt"):
                    await conversation.interrupt()
                while _is_busy(conversation) or not (can_tell or changed.is_set()):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass
        except Exception:
            _logger.exception("the probe's turn could not be interrupted")
    return not _is_busy(conversation)


def _is_busy(conversation: Any) -> bool:
    is_pending = getattr(conversation, "is_pending", None)
    return is_pending is not None and is_pending() is True


async def _restore(conversation: Any, original: str | None, set_model: SetModel) -> None:
    if original is None:
        return
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            await _maybe_await(set_model(conversation, original))
    except Exception:
        _logger.exception("the conversation could not be switched back to the model %r", original)


async def _to_its_end(restoring: Awaitable[None]) -> None:
    """Await something bounded, whether or not this is cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(restoring)
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _maybe_await(value: Awaitable[object] | object) -> None:
    if isawaitable(value):
        await value


def _report(report: Callable[[int, int, str], object] | None, done: int, total: int, model: str) -> None:
    if report is not None:
        try:
            report(done, total, model)
        except Exception:
            _logger.exception("the progress of a probe could not be reported")
