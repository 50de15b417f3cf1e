"""Shapes: what an answer of the model must look like, written down once.

From the same shape come the JSON schema that the model gets, the check of its finished answer, its form on the wire,
and what may be shown of an unfinished one. So the four cannot differ. What fits the schema is accepted: bounds that a
grammar can hold are in it (`minimum`, `maxItems`, …), and whatever no grammar holds is repaired.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Definitions = dict[str, dict[str, Any]]
MISSING: Final[Any] = object()  # nothing that could be shown; None is JSON's null, which the model says for "without"


class Mismatch(Exception):
    """The answer has not the shape; the message is the path to the fault, without the value."""


class Empty(Mismatch):
    """There is nothing in it: a session without exercises. Where there are others, it is left out."""


class Shape(Protocol):
    """One form."""

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """Return the JSON schema. Objects are put into `definitions` and referred to."""
        ...

    def accept(self, value: Any) -> Any:
        """Return a finished value in the model's own form, repaired. Raises Mismatch."""
        ...

    def wire(self, accepted: Any) -> Any:
        """Return an accepted value as it is sent."""
        ...

    def show(self, cut: Any, whole: Any) -> Any:
        """Return what may be sent of an unfinished value, or MISSING.

        `cut` is the value with a text at its end that may go on, `whole` the same without it.
        """
        ...


@dataclass(frozen=True)
class ArrayShape:
    """Some elements of one shape. Empty ones are left out, and those past the most."""

    element: Shape
    least: int
    most: int

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        items = self.element.schema(definitions)
        return {"type": "array", "items": items, "minItems": self.least, "maxItems": self.most}

    def accept(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Mismatch
        accepted = []
        for index, element in enumerate(value[: self.most]):
            with suppress(Empty):
                accepted.append(_at(index, self.element, element))
        if len(accepted) < self.least:
            raise Empty
        return accepted

    def wire(self, accepted: Any) -> list[Any]:
        return [self.element.wire(element) for element in accepted]

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
    member of `defaults` has its default in the finished value where it is absent or wrong. `mended` returns the
    finished object with what is wrong between its members put right. On the wire it has `constants`, too, and what
    `derived` returns of the members that it gets: those of an unfinished object that are whole.
    """

    name: str
    members: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    mended: Callable[[dict[str, Any]], dict[str, Any]] | None = None
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
        accepted = {}
        for name in self.members:
            member = self._accepted_member(name, value.get(name))
            if member is not MISSING:
                accepted[name] = member
        return accepted if self.mended is None else self.mended(accepted)

    def _accepted_member(self, name: str, given: Any) -> Any:
        """Return what becomes of a member, MISSING if nothing does. Raises Mismatch."""
        if given is None and name in self.optional | self.unasked:
            return MISSING
        try:
            return _at(name, self.members[name], given)
        except Mismatch:
            if name in self.defaults:
                return copy(self.defaults[name])
            if name in self.unasked:
                return MISSING
            raise

    def wire(self, accepted: Any) -> dict[str, Any]:
        sent = {name: self.members[name].wire(value) for name, value in accepted.items()}
        sent = dict(self.constants) | sent
        return sent if self.derived is None else sent | self.derived(sent)

    def show(self, cut: Any, whole: Any) -> Any:
        if not isinstance(cut, dict):
            return MISSING
        shown = dict(self.constants)
        wholes = whole if isinstance(whole, dict) else {}
        if self.mended is not None:  # what is not whole may still change
            with suppress(Mismatch):
                shown = self.wire(self.accept(whole))
            return shown
        for name, member in self.members.items():
            value = member.show(cut.get(name, MISSING), wholes.get(name, MISSING))
            if value is not MISSING:
                shown[name] = value
        return shown if self.derived is None else shown | self.derived(self._whole_members(cut, wholes))

    def _whole_members(self, cut: dict[str, Any], wholes: dict[str, Any]) -> dict[str, Any]:
        """Return the members as they are sent to which nothing can be added: an array at the end may go on."""
        last = next(reversed(cut), None)
        sent = {}
        for name, value in wholes.items():
            if name in self.members and not (name == last and isinstance(value, list | dict)):
                member = self.members[name]
                with suppress(Mismatch):
                    sent[name] = member.wire(member.accept(value))
        return sent


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

    def wire(self, accepted: Any) -> Any:
        return self.by_type[accepted["type"]].wire(accepted)

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
        raise type(fault)(f"{step}.{fault}".rstrip(".")) from None
