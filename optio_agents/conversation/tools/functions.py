"""A typed coroutine function as a tool: its JSON schema from its annotations, its arguments and its result.

The annotations are what msgspec understands: builtins, dataclasses, `msgspec.Struct`, `TypedDict`, enums, unions.
`Annotated[int, msgspec.Meta(description="...", ge=1)]` describes or limits a parameter.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

Function: TypeAlias = Callable[..., Awaitable[object]]

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What all models' services take as the name of a tool."""


class ToolFunction:
    """One tool.

    Args:
        function: A coroutine function (or an object whose `__call__` is one) whose parameters all have annotations. Its
            name is the tool's name; its docstring tells the model what it does.

    Raises:
        TypeError: it cannot be a tool; the text says why.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.name = _name(function)
        self.description = inspect.getdoc(function) or ""
        self._arguments = _arguments_type(function, self.name)
        self.schema = _schema(self._arguments, self.name)
        """The JSON schema of the arguments."""

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of a call, converted to the types of the annotations.

        Raises:
            ValueError: they do not fit; the text is for the model.
        """
        try:
            values = msgspec.convert(given, self._arguments)
        except msgspec.ValidationError as error:
            raise ValueError(f"the arguments of {self.name} do not fit: {error}") from None
        told = {name: getattr(values, name) for name in self._arguments.__struct_fields__}
        return {name: value for name, value in told.items() if value is not msgspec.UNSET}


def result_text(value: object, limit: int) -> str:
    """What the model reads of what a function returned: a text as it is, anything else as JSON, `None` as nothing.

    JSON is an object: what is none becomes its `result`, also a text that reads as JSON (`42`), because gemini takes
    such a text for structured content and refuses what is no object (measured with 0.61.0). A text of more than `limit`
    characters keeps its beginning and its end, and says what is missing.

    Raises:
        TypeError: it has no form in JSON.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= limit and _is_json_but_no_object(text):
        text = msgspec.json.encode({"result": text if isinstance(value, str) else msgspec.Raw(text)}).decode()
    if len(text) <= limit:
        return text
    half = limit // 2
    return (
        f"{text[:half]}\n[... {len(text) - 2 * half} of {len(text)} characters left out ...]\n{text[-half:]}"
    )


def _is_json_but_no_object(text: str) -> bool:
    try:
        return not isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False


def _name(function: Function) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    if not _is_coroutine_function(function):
        raise TypeError(f"a tool is a coroutine function (async def), and {name} is not")
    if not TOOL_NAME.fullmatch(name):
        raise TypeError(f"the name of a tool has up to 64 letters, digits, _ and -, and {name!r} has others")
    return str(name)


def _is_coroutine_function(function: Any) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _arguments_type(function: Function, name: str) -> type[msgspec.Struct]:
    """A type with a field for each parameter. One that has a default may be left out."""
    try:
        hints = typing.get_type_hints(_annotated(function), include_extras=True)
    except NameError as error:
        raise TypeError(f"an annotation of the tool {name} cannot be read: {error}") from error
    fields: list[tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"the tool {name} has the {parameter.kind.description} parameter {parameter.name}, "
                "and a model names each argument that it gives"
            )
        if parameter.name not in hints:
            raise TypeError(f"the parameter {parameter.name} of the tool {name} has no annotation")
        hint = hints[parameter.name]
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hint, msgspec.NODEFAULT))
        else:
            fields.append((parameter.name, hint | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _annotated(function: Any) -> Any:
    """Where the annotations of a callable are: the function itself, or the `__call__` of an object."""
    return function if inspect.isroutine(function) else type(function).__call__


def _schema(arguments: type[msgspec.Struct], name: str) -> dict[str, Any]:
    try:
        (_, components) = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    except TypeError as error:
        raise TypeError(f"a parameter of the tool {name} has no JSON schema: {error}") from error
    schema = dict(components.pop(arguments.__name__))
    schema.pop("title", None)
    return {**schema, "$defs": dict(components)} if components else schema


def tool_functions(functions: typing.Iterable[Function]) -> dict[str, ToolFunction]:
    """The tools by their names.

    Raises:
        TypeError: one of them cannot be a tool.
        ValueError: two have one name.
    """
    tools: dict[str, ToolFunction] = {}
    for function in functions:
        tool = ToolFunction(function)
        if tool.name in tools:
            raise ValueError(f"two tools have the name {tool.name!r}")
        tools[tool.name] = tool
    return tools
