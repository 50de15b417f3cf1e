"""The base of all wire schemas: camelCase names, found whatever their case and underscores; unknown ones ignored."""

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow
from marshmallow import ValidationError, missing

from shared.errors import InvalidRequest
from shared.http.fields import needed_bytes

NAME_BYTES = 40  # a field's name in JSON, with its quotes and punctuation and white space


class WireSchema(marshmallow.Schema):
    """A JSON object of the wire. Attributes are snake_case here and camelCase in JSON, unless a field says else."""

    holds_authorization: ClassVar[bool] = False  # a member stands for an Authorization header that is absent

    def on_bind_field(self, field_name: str, field_obj: marshmallow.fields.Field[Any]) -> None:
        head, *tail = field_name.split("_")
        field_obj.data_key = field_obj.data_key or head + "".join(word.capitalize() for word in tail)
        field_obj.error_messages["required"] = "is missing"
        field_obj.error_messages["null"] = "must not be null"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wanted = [(str(field.data_key), name, field) for name, field in self.load_fields.items()]
        self._canonical = {plain(key): key for key, _, _ in self._wanted} | {key: key for key, _, _ in self._wanted}

    def parse(self, data: Any) -> dict[str, Any]:
        """Return the handler's arguments. Raises InvalidRequest with a message for each field at fault."""
        try:
            return self.accept(data)
        except ValidationError as error:
            messages = dict(_flatten(error.messages))
            raise InvalidRequest("The request has fields that cannot be accepted.", messages) from None

    def accept(self, data: Any) -> dict[str, Any]:
        """Return the values of the fields of an object. Raises ValidationError with a tree of messages.

        It is `load` for what wire schemas have: fields, and nothing around (docs/adr/0003: two thirds of the time).
        """
        members = self._canonical_members(data)
        accepted: dict[str, Any] = {}
        faults: dict[str, Any] = {}
        for key, name, field in self._wanted:
            try:
                accepted[name] = field.deserialize(members.get(key, missing), key, members)
            except ValidationError as error:
                faults[key] = error.messages
        if faults:
            raise ValidationError(faults)
        return accepted

    def _canonical_members(self, data: Any) -> dict[str, Any]:
        """Give each known member its canonical name. Two spellings of one field are an error."""
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        members: dict[str, Any] = {}
        for name, value in data.items():
            canonical = self._canonical.get(name) or self._canonical.get(plain(name))
            if canonical in members:
                raise ValidationError({canonical: ["is given twice"]})
            if canonical is not None:
                members[canonical] = value
        return members

    def authorization(self, data: Any) -> str | None:
        """Return what stands for an absent Authorization header in an object that was not checked yet."""
        raise NotImplementedError

    def max_json_bytes(self) -> int:
        """Return how many bytes of JSON the largest object of this schema can need."""
        return 2 + sum(NAME_BYTES + needed_bytes(field) for field in self.fields.values())


def plain(name: str) -> str:
    """Return a member's name without its case and underscores."""
    return name.replace("_", "").lower()


def _flatten(messages: Any, path: str = "") -> list[tuple[str, str]]:
    """Turn marshmallow's tree of messages into pairs of a path (`users[3].since`) and a message."""
    if isinstance(messages, Mapping):
        pairs = []
        for key, value in messages.items():
            if key == "_schema":
                step = path
            elif isinstance(key, int):
                step = f"{path}[{key}]"
            else:
                step = f"{path}.{key}" if path else str(key)
            pairs += _flatten(value, step)
        return pairs
    return [(path, "; ".join(map(str, messages)))]
