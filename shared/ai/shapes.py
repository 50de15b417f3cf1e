"""Shapes: what an answer of the model must look like, written down once.

From the same shape come the JSON schema that the model gets, the check of its finished answer, and what may be shown of
an unfinished one. So the three cannot differ. The schema holds only words that every endpoint takes in strict mode;
limits that have none (patterns, ranges, lengths) are in the descriptions and in the check.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Definitions = dict[str, dict[str, Any]]
MISSING: Final[Any] = object()  # nothing that could be shown; None is JSON's null, which the model says for "without"


class Mismatch(Exception):
    """The answer has not the shape; the message is the path to the fault, without the value."""


class Shape(Protocol):
    """One form."""

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """Return the JSON schema. Objects are put into `definitions` and referred to."""
        ...

    def accept(self, value: Any) -> Any:
        """Return a finished value as it may be used. Raises Mismatch."""
        ...

    def show(self, cut: Any, whole: Any) -> Any:
        """Return what may be shown of an unfinished value, or MISSING.

        `cut` is the value with a text at its end that may go on, `whole` the same without it.
        """
        ...


class ScalarShape:
    """A value that is shown only when it is whole and acceptable."""

    def accept(self, value: Any) -> Any:
        raise NotImplementedError

    def show(self, _cut: Any, whole: Any) -> Any:
        try:
            return self.accept(whole)
        except Mismatch:
            return MISSING


@dataclass(frozen=True)
class TextShape:
    """Free text, which may be shown before it is whole."""

    description: str
    may_be_empty: bool = True

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "description": self.description}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or not (self.may_be_empty or value.strip()):
            raise Mismatch
        return value

    def show(self, cut: Any, _whole: Any) -> Any:
        return cut if isinstance(cut, str) else MISSING


@dataclass(frozen=True)
class TokenShape(ScalarShape):
    """A text of a fixed form, of which a part would mean something else."""

    description: str
    pattern: str

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "description": self.description}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise Mismatch
        return value


@dataclass(frozen=True)
class ChoiceShape(ScalarShape):
    """One of some words."""

    words: tuple[str, ...]

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Mismatch
        return value


@dataclass(frozen=True)
class FlagShape(ScalarShape):
    """Yes or no."""

    description: str

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "boolean", "description": self.description}

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Mismatch
        return value


@dataclass(frozen=True)
class IntegerShape(ScalarShape):
    """A whole number within a range."""

    description: str
    least: int
    most: int

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "integer", "description": f"{self.description}, {self.least} to {self.most}"}

    def accept(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise Mismatch
        if value != int(value):
            raise Mismatch
        return int(value)  # some models write 3.0


@dataclass(frozen=True)
class NumberShape(ScalarShape):
    """A number within a range."""

    description: str
    least: float
    most: float

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "number", "description": f"{self.description}, {self.least:g} to {self.most:g}"}

    def accept(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise Mismatch
        return value


@dataclass(frozen=True)
class ArrayShape:
    """Some elements of one shape."""

    element: Shape
    least: int
    most: int

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        description = f"{self.least} to {self.most} elements"
        return {"type": "array", "description": description, "items": self.element.schema(definitions)}

    def accept(self, value: Any) -> list[Any]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise Mismatch
        return [_at(index, self.element, element) for index, element in enumerate(value)]

    def show(self, cut: Any, whole: Any) -> Any:
        if not isinstance(cut, list):
            return MISSING
        wholes = whole if isinstance(whole, list) else []
        wholes = [*wholes, *[MISSING] * (len(cut) - len(wholes))]
        shown = [self.element.show(*pair) for pair in zip(cut, wholes, strict=False)]
        return [element for element in shown[: self.most] if element is not MISSING]


@dataclass(frozen=True)
class ObjectShape:
    """An object. Members that it does not name are dropped, whatever the model put there.

    `optional` members may be null or absent, and are absent then; those of `unasked` are not in the schema either. A
    member of `defaults` that is absent has its default in the finished value. `constants` are ours, whatever the model
    says. `rule` judges the finished object. `derived` returns what is shown beside the members that it gets: those of
    an unfinished object that are whole. A finished value has the model's members alone.
    """

    name: str
    members: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    rule: Callable[[dict[str, Any]], bool] = lambda _value: True
    derived: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        if self.name not in definitions:
            definitions[self.name] = {}  # its place, before those that it refers to
            definitions[self.name] = self.own_schema(definitions)
        return {"$ref": f"#/$defs/{self.name}"}

    def own_schema(self, definitions: Definitions) -> dict[str, Any]:
        """Return the schema itself, where a reference will not do. In strict mode every member is required."""
        properties = {}
        for name, member in self.members.items():
            if name in self.unasked:
                continue
            schema = member.schema(definitions)
            properties[name] = {"anyOf": [schema, {"type": "null"}]} if name in self.optional else schema
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def accept(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Mismatch
        accepted = dict(self.constants)
        for name, member in self.members.items():
            given = value.get(name)
            if given is None and name in self.defaults:
                accepted[name] = copy(self.defaults[name])
            elif given is not None or name not in self.optional | self.unasked:
                accepted[name] = _at(name, member, given)
        if not self.rule(accepted):
            raise Mismatch
        return accepted

    def show(self, cut: Any, whole: Any) -> Any:
        if not isinstance(cut, dict):
            return MISSING
        shown = dict(self.constants)
        wholes = whole if isinstance(whole, dict) else {}
        for name, member in self.members.items():
            value = member.show(cut.get(name, MISSING), wholes.get(name, MISSING))
            if value is not MISSING:
                shown[name] = value
        return shown if self.derived is None else shown | self.derived(self._whole_members(cut, wholes))

    def _whole_members(self, cut: dict[str, Any], wholes: dict[str, Any]) -> dict[str, Any]:
        """Return the members to which nothing can be added: an array or object at the end may go on."""
        last = next(reversed(cut), None)
        accepted = {}
        for name, value in wholes.items():
            if name in self.members and not (name == last and isinstance(value, list | dict)):
                with suppress(Mismatch):
                    accepted[name] = self.members[name].accept(value)
        return accepted


@dataclass(frozen=True)
class OneOfShape:
    """One of some objects, told apart by their member `type`. Nothing is shown before it is known which."""

    by_type: Mapping[str, ObjectShape]

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return {"anyOf": [each.schema(definitions) for each in self.by_type.values()]}

    def accept(self, value: Any) -> Any:
        which = self._which(value)
        if which is None:
            raise Mismatch("type")
        return which.accept(value)

    def show(self, cut: Any, whole: Any) -> Any:
        which = self._which(whole)
        return MISSING if which is None else which.show(cut, whole)

    def _which(self, value: Any) -> ObjectShape | None:
        kind = value.get("type") if isinstance(value, dict) else None
        return self.by_type.get(kind) if isinstance(kind, str) else None


def response_format(shape: ObjectShape) -> dict[str, Any]:
    """Return what makes the model answer with nothing but JSON of this shape."""
    schema = {"name": shape.name, "strict": True, "schema": strict_schema(shape)}
    return {"type": "json_schema", "json_schema": schema}


def strict_schema(shape: ObjectShape) -> dict[str, Any]:
    """Return a JSON schema that stands for itself, with what it refers to in `$defs`."""
    definitions: Definitions = {}
    schema = shape.own_schema(definitions)
    return {**schema, "$defs": definitions} if definitions else schema


def _at(step: str | int, shape: Shape, value: Any) -> Any:
    try:
        return shape.accept(value)
    except Mismatch as fault:
        raise Mismatch(f"{step}.{fault}".rstrip(".")) from None
