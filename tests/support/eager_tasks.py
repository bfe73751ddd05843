"""Tasks whose first step is made at once, on every Python."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from functools import partial
from typing import Any


def eager_task(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """As `asyncio.eager_task_factory` makes them (Python 3.12); before that the first step is made by hand."""
    loop = asyncio.get_running_loop()
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is not None:
        task: asyncio.Future[Any] = factory(loop, coroutine)
        return task
    try:
        first = coroutine.send(None)
    except BaseException as error:
        ended = loop.create_future()
        if isinstance(error, StopIteration):
            ended.set_result(error.value)
        else:
            ended.set_exception(error)
        return ended
    return asyncio.Task(_rest(coroutine, first), loop=loop)


async def _rest(coroutine: Coroutine[Any, Any, Any], first: Any) -> Any:
    return await _steps(coroutine, first)


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    while True:
        try:
            value = yield waits_for
        except BaseException as error:
            step: Any = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, value)
        try:
            waits_for = step()
        except StopIteration as end:
            return end.value
