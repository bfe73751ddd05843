"""Which models the agents that this package brings can use: each is asked in a conversation of its own.

Their model is part of how they are started, so another model is another process. That also keeps the user's
conversation as it is, and a late answer with the model that gave it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from os import PathLike

from optio_agents.conversation.agents import Agent
from optio_agents.conversation.from_asyncio import open_asyncio_conversation
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.values import TurnStatus
from optio_agents.model_probe.probing import PROBE_QUESTION

_logger = logging.getLogger(__name__)


async def probe_agents(
    agent_for: Callable[[str], Agent],
    model_ids: Sequence[str],
    *,
    workdir: str | PathLike[str],
    usable_check: Callable[[str], bool] = bool,
    question: str = PROBE_QUESTION,
    per_model_timeout: float = 60.0,
    home: str | PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
    report: Callable[[int, int, str], object] | None = None,
) -> dict[str, bool]:
    """Find out which models answer; each agent has ended before the next one starts.

    Args:
        agent_for: The agent for a model: `lambda model: claude(model=model)`.
        model_ids: The models, in order.
        workdir: Where the agents work; give them an empty directory.
        usable_check: Judges the answer of a turn that was completed. By default any text will do.
        question: What is asked.
        per_model_timeout: Seconds for each model, starting its agent included.
        home, environment, options: As for `open_asyncio_conversation`.
        report: Called after each model with how many are done, how many there are, and which it was.

    Returns:
        Whether each model is usable. One whose agent does not start is not.
    """
    usable: dict[str, bool] = {}
    for number, model in enumerate(model_ids, start=1):
        try:
            async with (
                asyncio.timeout(per_model_timeout),
                open_asyncio_conversation(
                    agent_for(model), workdir=workdir, home=home, environment=environment, options=options
                ) as conversation,
            ):
                turn = await conversation.ask(question)
                usable[model] = turn.status is TurnStatus.COMPLETED and bool(usable_check(turn.text))
        except Exception as error:  # noqa: BLE001 - any error means that this model cannot be used
            _logger.info("the model %r does not answer: %r", model, error)
            usable.setdefault(model, False)
        if report is not None:
            report(number, len(model_ids), model)
    return usable
