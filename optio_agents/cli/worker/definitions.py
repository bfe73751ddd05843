"""Finds and calls the user's function that returns the task definitions, and reports its errors as the user's."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from optio_agents.cli.exit_codes import UsageError


def check_source(name: str) -> None:
    """Check that the module of `MODULE:FUNCTION` exists and can be parsed, without running it.

    Raises:
        UsageError: there is no such module, or its source is not Python; the text names the file and the line.
    """
    module = _split(name)[0]
    try:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            compile(Path(spec.origin).read_bytes(), spec.origin, "exec", dont_inherit=True)
    except ModuleNotFoundError:
        spec = None
    except (Exception, SystemExit) as error:
        raise UsageError(f"module {module!r} cannot be imported:\n{told(error)}") from error
    if spec is None:
        raise UsageError(f"there is no module {module!r}")


def find_function(name: str) -> Callable[..., Any]:
    """Import `MODULE:FUNCTION`; the current directory is searched, as with `python -m`.

    Raises:
        UsageError: there is no such module or function, or the module cannot be imported.
    """
    module, function = _split(name)
    found = getattr(_import(module), function, None)
    if found is None:
        raise UsageError(f"module {module!r} has no {function!r}")
    if not callable(found):
        raise UsageError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def _split(name: str) -> tuple[str, str]:
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise UsageError(f"{name!r} is not of the form MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return module, function


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {module!r}") from error
        raise UsageError(f"module {module!r} cannot be imported:\n{told(error)}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"module {module!r} cannot be imported:\n{told(error)}") from error


def checked(name: str, function: Callable[..., Any]) -> Callable[[Any, Any], Awaitable[list[Any]]]:
    """Return the function that optio calls for its definitions, for a plain or an async `function`.

    The returned function raises `UsageError` if `function` raises or returns something other than task definitions.
    """
    from optio_core.models import TaskFactory, TaskInstance

    async def definitions(services: Any, metadata_filter: Any) -> list[Any]:
        try:
            answer = function(services, metadata_filter)
            tasks = list(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:
            raise UsageError(f"{name} raised an exception:\n{told(error)}") from error
        for task in tasks:
            if not isinstance(task, TaskInstance | TaskFactory):
                raise UsageError(
                    f"{name} returned {type(task).__name__} among its tasks: it must return a list of TaskInstance "
                    "or TaskFactory objects, as create_agent_task makes them"
                )
        return tasks

    return definitions


def told(error: BaseException) -> str:
    """The traceback of the user's own code, without the frames of ours before it."""
    own = _skip_ours(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, own)).rstrip()


def _skip_ours(frames: TracebackType | None) -> TracebackType | None:
    ours = (__file__, importlib.__file__, "<frozen importlib")
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
        frames = frames.tb_next
    return frames
