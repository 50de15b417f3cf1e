"""Shapes of single values. A value past a bound is moved to it; what a grammar cannot hold back is put right.

The model fills in numbers, which a grammar can bound, also where apps read texts: durations are whole seconds, decimals
are numbers. How they are sent is said here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.ai.shapes import MISSING, Definitions, Mismatch

DECIMAL_PLACES = 4
# What a grammar holds small models to, which repeat themselves without end. llama.cpp refuses 2000 and more (#25746).
NAME_CHARACTERS, NOTES_CHARACTERS, DESCRIPTION_CHARACTERS = 200, 500, 1000
_ISO = re.compile(r"P(?:(\d{1,4})D)?T?(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})(?:[.,]\d+)?S)?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{2})")


class ScalarShape:
    """A value that is shown only when it is whole and acceptable."""

    def accept(self, value: Any) -> Any:
        raise NotImplementedError

    def wire(self, accepted: Any) -> Any:
        return accepted

    def show(self, _cut: Any, whole: Any) -> Any:
        try:
            return self.wire(self.accept(whole))
        except Mismatch:
            return MISSING


@dataclass(frozen=True)
class TextShape:
    """Free text of up to `most` characters, which may be shown before it is whole.

    `unnamed` takes the place of one that is blank. A longer one is taken as it is: to cut it would mend nothing.
    """

    description: str
    unnamed: str = ""
    most: int = NAME_CHARACTERS

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "description": self.description, "maxLength": self.most}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Mismatch
        return value if value.strip() or not self.unnamed else self.unnamed

    def wire(self, accepted: Any) -> str:
        return str(accepted)

    def show(self, cut: Any, _whole: Any) -> Any:
        return cut if isinstance(cut, str) and (cut.strip() or not self.unnamed) else MISSING


@dataclass(frozen=True)
class TokenShape(ScalarShape):
    """A text of a fixed form, of which a part would mean something else."""

    description: str
    pattern: str
    most: int = NOTES_CHARACTERS

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "description": self.description, "maxLength": self.most}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise Mismatch
        return value


@dataclass(frozen=True)
class ChoiceShape(ScalarShape):
    """One of some words. Where there is but one, it is that one, whatever else the model says there."""

    words: tuple[str, ...]

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    def accept(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Mismatch
        if len(self.words) == 1:
            return self.words[0]
        found = [word for word in self.words if word.lower() == value.strip().lower()]
        if not found:
            raise Mismatch
        return found[0]


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
        return {"type": "integer", "description": self.description, "minimum": self.least, "maximum": self.most}

    def accept(self, value: Any) -> int:
        return round(_within(self.least, _number(value), self.most))  # some models write 3.0 or "3"


@dataclass(frozen=True)
class NumberShape(ScalarShape):
    """A number within a range, with up to four decimal places."""

    description: str
    least: int
    most: int

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        return {"type": "number", "description": self.description, "minimum": self.least, "maximum": self.most}

    def accept(self, value: Any) -> int | float:
        number = round(_within(self.least, _number(value), self.most), DECIMAL_PLACES)
        return int(number) if number == int(number) else number


class DecimalShape(NumberShape):
    """A number that is sent as text, like "2.5"."""

    def wire(self, accepted: Any) -> str:
        return f"{accepted:.{DECIMAL_PLACES}f}".rstrip("0").rstrip(".")


def iso_duration(seconds: int) -> str:
    """Return a duration as ISO 8601 writes it: `PT90S`."""
    return f"PT{seconds}S"


def clock(seconds: int) -> str:
    """Return a duration below a day as `hh:mm:ss`."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@dataclass(frozen=True)
class DurationShape(IntegerShape):
    """A number of seconds. Texts like `PT90S` and `00:01:30` are understood, too; `form` is how it is sent."""

    form: Callable[[int], str] = iso_duration

    def accept(self, value: Any) -> int:
        seconds = _seconds(value) if isinstance(value, str) else None
        return super().accept(value if seconds is None else seconds)

    def wire(self, accepted: Any) -> str:
        return self.form(accepted)


def _seconds(text: str) -> int | None:
    """Return the seconds that a text says in one of the usual forms, None if it has none of them."""
    iso, on_clock = _ISO.fullmatch(text.strip()), _CLOCK.fullmatch(text.strip())
    if iso is not None and any(iso.groups()):
        days, hours, minutes, seconds = (int(part or 0) for part in iso.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if on_clock is not None:
        hours, minutes, seconds = (int(part or 0) for part in on_clock.groups())
        return (hours * 60 + minutes) * 60 + seconds
    return None


def _number(value: Any) -> int | float:
    """Return a number, also one that stands in a text, with a point or a comma. Raises Mismatch."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,12}([.,]\d{1,12})?\s*", value, re.ASCII):
        value = float(value.replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # NaN
        raise Mismatch
    return value


def _within(least: int, number: int | float, most: int) -> int | float:
    return max(least, min(number, most))
