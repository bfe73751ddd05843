"""Structured answers: a type or a JSON schema that the answer of a turn must fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from optio_agents.conversation.sendable import check_json

T = TypeVar("T")


class AnswerSchema(Generic[T]):
    """What an answer must be.

    Args:
        wanted: A dataclass, `msgspec.Struct` or `TypedDict`, or a JSON schema whose type is `object`.

    Raises:
        TypeError: it is none of these, or has no JSON schema.
        ValueError: the schema is not that of an object.
        ImportError: a JSON schema needs the package `jsonschema`, which the extra `tools` brings.
    """

    def __init__(self, wanted: type[T] | Mapping[str, Any]) -> None:
        self._type: Any = None
        self._validator: Any = None
        if isinstance(wanted, Mapping):
            check_json("schema", wanted)
            self.schema = dict(wanted)
            self._validator = _validator(self.schema)
        else:
            self._type = wanted
            self.schema = object_schema(wanted)
        if self.schema.get("type") != "object":
            raise ValueError(
                "the schema of an answer is that of an object: a dataclass, a Struct or a TypedDict"
            )

    def read(self, data: object) -> T:
        """The answer as a value of the type, or, of a JSON schema, as it is.

        Raises:
            ValueError: it does not fit. The text says where.
        """
        if self._type is not None:
            try:
                value: T = msgspec.convert(data, self._type)
            except msgspec.ValidationError as error:
                raise ValueError(str(error)) from None
            return value
        for misfit in self._validator.iter_errors(data):
            raise ValueError(f"{misfit.message} - at `{misfit.json_path}`")
        return data  # type: ignore[return-value]  # of a schema T is Any


def object_schema(wanted: Any) -> dict[str, Any]:
    """The JSON schema of a type, its own part at the root (services refuse a reference there).

    Raises:
        TypeError: the type has no JSON schema.
    """
    schema = dict(msgspec.json.schema(wanted))
    definitions = dict(schema.pop("$defs", {}))
    reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if reference not in definitions:
        return {**schema, "$defs": definitions} if definitions else schema
    root = dict(definitions[reference])
    if f'"#/$defs/{reference}"' not in msgspec.json.encode(definitions).decode():
        del definitions[reference]
    return {**root, "$defs": definitions} if definitions else root


def _validator(schema: dict[str, Any]) -> Any:
    try:
        import jsonschema
    except ImportError as error:
        raise ImportError(
            f"answers that fit a JSON schema need the `jsonschema` package ({error}): "
            "pip install 'optio-agents[tools]', or use a dataclass or a msgspec.Struct"
        ) from error
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"this is no JSON schema: {error.message} - at `{error.json_path}`") from None
    return kind(schema)
