"""Wire fields: what a value looks like in JSON, what Python gets, and how long it may be.

Lengths of bytes count decoded bytes; lengths of text count characters. Each field knows how many bytes its JSON can
need, from which a route's body limit is computed.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import marshmallow
from marshmallow import ValidationError

from shared.http.formats import base64_length, parse_instant, parse_uuid

NIL = UUID(int=0)
PASSWORD_CHARACTERS = 40
_SECOND_SECOND = datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC)
_ESCAPED_CHARACTER_BYTES = 6  # JSON's \u0041
_NUMBER_BYTES = 40  # a double with all its digits, and zeros that some writers add
_ESCAPED_BASE64 = 1.5  # some writers escape "+" and "/"


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("must be a text")
    return value


def needed_bytes(part: object) -> int:
    """Return how many bytes of JSON a field or a schema of ours can need."""
    return int(part.max_json_bytes())  # type: ignore[attr-defined]


class Field(marshmallow.fields.Field[Any]):
    """A field that knows how many bytes of JSON it can need."""

    def max_json_bytes(self) -> int:
        """Return how many bytes the field's value can need, in the most wasteful spelling of JSON."""
        raise NotImplementedError


class Uuid(Field):
    """A UUID with or without hyphens, never the nil one; answered lower-case with hyphens."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> UUID:
        parsed = parse_uuid(_text_of(value))
        if parsed is None:
            raise ValidationError("must be a UUID")
        if parsed == NIL:
            raise ValidationError("must not be the nil UUID")
        return parsed

    def _serialize(self, value: UUID | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)

    def max_json_bytes(self) -> int:
        return 36


class Text(Field):
    """A text of a number of characters, without NUL; if `example` is given, one that holds what `pattern` finds."""

    def __init__(
        self, *, min_length: int = 0, max_length: int, pattern: str = "", example: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self.min_length = min_length
        self.max_length = max_length
        self.pattern = re.compile(pattern, re.ASCII)
        self.example = example

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = _text_of(value)
        if not self.min_length <= len(text) <= self.max_length:
            raise ValidationError(f"must have {self.min_length} to {self.max_length} characters")
        if "\0" in text:
            raise ValidationError("must not hold a NUL character")
        if self.pattern.search(text) is None:
            raise ValidationError(f"must be like {self.example}")
        return text

    def max_json_bytes(self) -> int:
        return self.max_length * _ESCAPED_CHARACTER_BYTES


class Password(Text):
    """A password as the account's owner sends it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=PASSWORD_CHARACTERS, **options)


class PresentedSecret(Field):
    """A secret to be judged, not to be stored: any text; one that is too long is merely not valid."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return _text_of(value)

    def max_json_bytes(self) -> int:
        return self.max_length * _ESCAPED_CHARACTER_BYTES


class Base64(Field):
    """Bytes in the standard base64 alphabet with padding (RFC 4648 §4)."""

    def __init__(self, *, min_bytes: int = 0, max_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self.min_bytes = min_bytes
        self.max_bytes = max_bytes

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bytes:
        text = _text_of(value)
        if len(text) > base64_length(self.max_bytes):
            raise ValidationError(self._limits())
        try:
            decoded = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise ValidationError("must be base64 with padding") from None
        if len(text) != base64_length(len(decoded)):  # padding past the end, which Python lets pass
            raise ValidationError("must be base64 with padding")
        if not self.min_bytes <= len(decoded) <= self.max_bytes:
            raise ValidationError(self._limits())
        return decoded

    def _limits(self) -> str:
        if self.min_bytes == self.max_bytes:
            return f"must have {self.max_bytes} bytes"
        return f"must have {self.min_bytes} to {self.max_bytes} bytes"

    def _serialize(self, value: bytes | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else b64encode(value).decode()

    def max_json_bytes(self) -> int:
        return int(base64_length(self.max_bytes) * _ESCAPED_BASE64)


class Instant(Field):
    """An RFC 3339 instant with any offset; answered in UTC with six digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        instant = parse_instant(_text_of(value))
        if instant is None:
            raise ValidationError("must be an RFC 3339 instant with an offset")
        if instant < _SECOND_SECOND:  # .NET's DateTimeOffset of an absent field
            raise ValidationError("is missing")
        return instant

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"

    def max_json_bytes(self) -> int:
        return 40


class Number(Field):
    """A number within a range."""

    def __init__(self, *, least: float, most: float, **options: Any) -> None:
        super().__init__(**options)
        self.least = least
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("must be a number")
        if not self.least <= value <= self.most:
            raise ValidationError(f"must be from {self.least:g} to {self.most:g}")
        return value

    def max_json_bytes(self) -> int:
        return _NUMBER_BYTES


class Integer(Number):
    """A whole number within a range; 3.0 is one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        number = super()._deserialize(value, attr, data, **kwargs)
        if number != int(number):
            raise ValidationError("must be a whole number")
        return int(number)


class Flag(Field):
    """true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value

    def max_json_bytes(self) -> int:
        return len("false")


class Enum(Field):
    """One of some names, whatever its case, or its place among them, counted from 0, as .NET writes enums."""

    def __init__(self, names: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = tuple(names)
        self._by_spelling: dict[Any, str] = {name.lower(): name for name in names} | dict(enumerate(names))

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        spelling = value.lower() if isinstance(value, str) else value
        if isinstance(spelling, str) or type(spelling) is int:  # neither true nor 1.0, which are dict keys like 1
            name = self._by_spelling.get(spelling)
            if name is not None:
                return name
        raise ValidationError(f"must be one of {', '.join(self.names)}")

    def max_json_bytes(self) -> int:
        return max(map(len, self.names)) * _ESCAPED_CHARACTER_BYTES


class Map(Field):
    """An object whose names are free texts of a length, without NUL, and whose values are of one kind."""

    def __init__(
        self, element: marshmallow.fields.Field[Any], *, max_name_length: int, max_items: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self.key = Text(min_length=1, max_length=max_name_length)
        self.element = element
        self.max_items = max_items

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")
        if len(value) > self.max_items:
            raise ValidationError(f"must have at most {self.max_items} members")
        # a fault is told of the whole, since its name may be one that must not be repeated
        return {str(self.key.deserialize(name)): self.element.deserialize(each) for name, each in value.items()}

    def _serialize(self, value: Mapping[Any, Any] | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        return {str(name): self.element._serialize(each, attr, obj, **kwargs) for name, each in value.items()}

    def max_json_bytes(self) -> int:
        return self.max_items * (needed_bytes(self.key) + needed_bytes(self.element) + 6)


class Array(marshmallow.fields.List[Any]):
    """An array of a number of elements."""

    def __init__(
        self, element: marshmallow.fields.Field[Any], *, min_items: int, max_items: int, **options: Any
    ) -> None:
        super().__init__(element, **options)
        self.min_items = min_items
        self.max_items = max_items

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError("must be an array")
        if not self.min_items <= len(value) <= self.max_items:
            raise ValidationError(f"must have {self.min_items} to {self.max_items} elements")
        return super()._deserialize(value, attr, data, **kwargs)

    def max_json_bytes(self) -> int:
        return self.max_items * (needed_bytes(self.inner) + 3)


class Nested(marshmallow.fields.Nested):
    """An object within an object; its schema is one of ours."""

    def _load(self, value: Any, partial: Any = None) -> Any:
        schema: Any = self.schema
        return schema.accept(value)

    def max_json_bytes(self) -> int:
        return needed_bytes(self.schema)
