"""Checks of a session's arguments, before the session changes anything."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import types
from typing import Any

import trio

from optio_agents.protocol.protocol import Protocol
from optio_agents.session.callbacks import SessionCallbacks
from optio_agents.session.optio_context import accepts_progress
from optio_agents.session.options import SessionOptions


def check_arguments(
    host: Any,
    ctx: Any,
    callbacks: SessionCallbacks,
    protocol: Protocol,
    options: SessionOptions,
    keywords: bool,
) -> None:
    """Refuse arguments of the wrong type, and those that contradict each other.

    Raises:
        TypeError: one has the wrong type; the text begins with its name.
        ValueError: two contradict each other.
    """
    _check_host(host, keywords)
    if not accepts_progress(ctx):
        raise TypeError(
            f"ctx must be optio's process context or have report_progress(percent, message): it is {_kind(ctx)}"
        )
    if not isinstance(protocol, Protocol):
        raise TypeError(f"protocol must be made by get_protocol(), not {_kind(protocol)}")
    if not isinstance(options, SessionOptions):
        raise TypeError(f"options must be a SessionOptions, not {_kind(options)}")
    if callbacks.body is None:
        raise TypeError("body must be the coroutine function that runs the agent, not None")
    for name in callbacks.__slots__:
        value = getattr(callbacks, name)
        if value is not None:
            (check_plain_function if name == "browser_url_rewrite" else check_coroutine_function)(name, value)
    _check_agreement(callbacks, protocol)


def check_coroutine_function(name: str, value: Any) -> None:
    """Refuse a callable whose result cannot be awaited, as far as this is known without calling it.

    Callable objects and lambdas are accepted, because only a call shows what they return. Of what C code offers, only
    the methods of asynchronous generators (`asend`) return an awaitable.

    Raises:
        TypeError: the text begins with `name`.
    """
    if not callable(value):
        hint = ": pass the function itself instead of calling it" if inspect.iscoroutine(value) else ""
        raise TypeError(f"{name} must be a coroutine function (async def), not {_kind(value)}{hint}")
    if inspect.iscoroutinefunction(value):
        return
    function = _innermost(value)
    if isinstance(function, types.FunctionType):
        is_plain = not (
            inspect.iscoroutinefunction(function)
            or function.__name__ == "<lambda>"
            or _says_awaitable(function)
        )
    elif isinstance(function, types.BuiltinFunctionType):
        is_plain = not isinstance(function.__self__, types.AsyncGeneratorType)
    else:
        is_plain = isinstance(function, type) and not hasattr(function, "__await__")
    if is_plain:
        what = "class" if isinstance(function, type) else "plain function"
        raise TypeError(
            f"{name} must be a coroutine function (async def): {function.__qualname__} is a {what}, and its "
            "result cannot be awaited"
        )


def check_plain_function(name: str, value: Any) -> None:
    """Refuse anything but a synchronous function.

    Raises:
        TypeError: the text begins with `name`.
    """
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} must be a plain function, because it is not awaited: it is {_kind(value)}")


def _check_host(host: Any, keywords: bool) -> None:
    if isinstance(host, str | bytes | os.PathLike):
        raise TypeError(
            f"host must be a host object, not {_kind(host)}: for a directory on this machine, use "
            "optio_agents.hosts.LocalHost.within(path) under Trio, optio_host's LocalHost(path) under asyncio"
        )
    # A host that has a workdir but cannot follow a log is accepted here: its body or a hook may fail first.
    is_host = any(hasattr(host, method) for method in ("tail_file", "open_log", "setup_workdir"))
    if not hasattr(host, "workdir") or (keywords and not is_host):
        raise TypeError(f"host must have at least workdir and tail_file: it is {_kind(host)}")
    optio_host = sys.modules.get("optio_host.host")
    if (
        trio.lowlevel.in_trio_task()
        and optio_host is not None
        and isinstance(host, optio_host.LocalHost | optio_host.RemoteHost)
    ):
        raise TypeError(
            f"host is optio-host's {type(host).__name__}, whose methods are asyncio code, but the session is awaited "
            "under Trio: use optio_agents.hosts.LocalHost, or await the session under asyncio"
        )


def _check_agreement(callbacks: SessionCallbacks, protocol: Protocol) -> None:
    enabled = protocol.features.caller_messages
    if enabled and callbacks.on_caller_message is None:
        raise ValueError(
            "the protocol enables CALLER_MESSAGE, but there is no on_caller_message callback: pass one, or use "
            "get_protocol(caller_messages=False)"
        )
    if callbacks.on_caller_message is not None and not enabled:
        raise ValueError(
            "there is an on_caller_message callback, but the protocol does not enable it: "
            "use get_protocol(caller_messages=True)"
        )
    if callbacks.on_deliverable is not None and callbacks.on_deliverable_file is not None:
        raise ValueError(
            "pass on_deliverable (text) or on_deliverable_file (any content), not both: each deliverable has one "
            "callback and one reply"
        )


def _innermost(value: Any) -> Any:
    """The function that a method, a `functools.partial` or a decorated function calls."""
    while True:
        function = inspect.unwrap(value)
        if isinstance(function, types.MethodType):
            function = function.__func__
        elif isinstance(function, functools.partial):
            function = function.func
        if function is value:
            return function
        value = function


def _says_awaitable(function: types.FunctionType) -> bool:
    """Whether a plain function is annotated to return something that can be awaited."""
    returns = str(function.__annotations__.get("return", ""))
    return any(word in returns for word in ("Awaitable", "Coroutine", "Future", "Task"))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
