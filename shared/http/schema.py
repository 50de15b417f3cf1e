"""The base of all wire schemas: camelCase names, found whatever their case and underscores; unknown ones ignored."""

from collections.abc import Mapping
from typing import Any

import marshmallow
from marshmallow import EXCLUDE, ValidationError, pre_load

from shared.errors import InvalidRequest
from shared.http.fields import needed_bytes

NAME_BYTES = 40  # a field's name in JSON, with its quotes and punctuation and white space


class WireSchema(marshmallow.Schema):
    """A JSON object of the wire. Attributes are snake_case here and camelCase in JSON, unless a field says else."""

    class Meta:
        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: marshmallow.fields.Field[Any]) -> None:
        head, *tail = field_name.split("_")
        field_obj.data_key = field_obj.data_key or head + "".join(word.capitalize() for word in tail)
        field_obj.error_messages["required"] = "is missing"
        field_obj.error_messages["null"] = "must not be null"

    @pre_load
    def canonical_names(self, data: Any, **_: Any) -> Any:
        """Give each known field its canonical name. Two spellings of one field are an error."""
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        if data.keys() <= self._canonical.keys() and all(self._canonical[name] == name for name in data):
            return data
        renamed: dict[str, Any] = {}
        for name, value in data.items():
            canonical = self._canonical.get(name) or self._canonical.get(_plain(name))
            if canonical is None:
                continue
            if canonical in renamed:
                raise ValidationError("is given twice", canonical)
            renamed[canonical] = value
        return renamed

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names = [str(field.data_key) for field in self.fields.values()]
        self._canonical = {_plain(name): name for name in names} | {name: name for name in names}

    def parse(self, data: Any) -> dict[str, Any]:
        """Return the handler's arguments. Raises InvalidRequest with a message for each field at fault."""
        try:
            arguments: dict[str, Any] = self.load(data)
        except ValidationError as error:
            messages = dict(_flatten(error.messages))
            raise InvalidRequest("The request has fields that cannot be accepted.", messages) from None
        return arguments

    def max_json_bytes(self) -> int:
        """Return how many bytes of JSON the largest object of this schema can need."""
        return 2 + sum(NAME_BYTES + needed_bytes(field) for field in self.fields.values())


def _plain(name: str) -> str:
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
