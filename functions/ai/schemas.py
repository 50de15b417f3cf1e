"""Wire forms of the ai family: what is wished for, in the app's form, or in the one with `weight_kg` of other clients.

The app's wishes are in `attributes`. Beside them the only app that ever called these routes, in C# and until July 2025,
sends `auth`, a store and a token, in place of an Authorization header.
"""

from typing import Any, ClassVar

from shared.http import WireSchema, fields
from shared.http.schema import plain

GENDERS = ("Male", "Female", "Other", "PreferNotToSay")
EXPERIENCE = ("Beginner", "Intermediate", "Advanced", "Professional")
MAX_KILOGRAMS = 100_000
LONGEST_TOKEN = 64 * 1024  # as long as an Authorization header may be: App Store receipts are
_KILOGRAMS = fields.Number(least=-MAX_KILOGRAMS, most=MAX_KILOGRAMS)  # below 0: assisted


class StoreToken(fields.PresentedSecret):
    """What else an Authorization header would say. The guard has judged it, and beside a header it may be anything."""

    def deserialize(self, value: Any, *_where: Any, **_options: Any) -> str:
        return value if isinstance(value, str) else ""

    def max_json_bytes(self) -> int:
        return self.max_length * 3 // 2  # C# writes the "+" of a receipt as \u002B


class PlanAttributes(WireSchema):
    gender = fields.Enum(GENDERS, required=True)
    weight_range = fields.Text(max_length=50, pattern=r"\d{1,3}-\d{1,3}", example="70-80", required=True)
    age = fields.Integer(least=12, most=149, required=True)
    days_per_week = fields.Integer(least=1, most=7, required=True)
    goals = fields.Array(fields.Text(min_length=3, max_length=30), min_items=1, max_items=9, required=True)
    experience = fields.Enum(EXPERIENCE, required=True)
    use_imperial_units = fields.Flag(load_default=False)
    additional_info = fields.Text(max_length=1000, allow_none=True, load_default=None)


class SessionAttributes(WireSchema):
    areas_to_workout = fields.Array(fields.Text(min_length=3, max_length=15), min_items=1, max_items=9, required=True)
    volume = fields.Integer(least=0, most=100, required=True)
    exercise_to_kilograms = fields.Map(_KILOGRAMS, max_name_length=49, max_items=100, required=True)
    use_imperial_units = fields.Flag(load_default=False)
    additional_info = fields.Text(max_length=200, allow_none=True, load_default=None)


class PortPlanWishes(WireSchema):
    age = fields.Integer(least=13, most=120, required=True)
    gender = fields.Text(max_length=50, required=True)
    weight_kg = fields.Number(least=20, most=500, required=True)
    experience_level = fields.Enum([name.lower() for name in EXPERIENCE], required=True)
    goals = fields.Text(max_length=500, required=True)
    days_per_week = fields.Integer(least=1, most=7, required=True)
    additional_preferences = fields.Text(max_length=1000, allow_none=True, load_default=None)


class PortSessionWishes(WireSchema):
    age = fields.Integer(least=13, most=120, required=True)
    gender = fields.Text(max_length=50, required=True)
    weight_kg = fields.Number(least=20, most=500, required=True)
    experience_level = fields.Enum([name.lower() for name in EXPERIENCE], required=True)
    focus = fields.Text(max_length=200, required=True)
    duration_minutes = fields.Integer(least=15, most=180, required=True)
    available_equipment = fields.Text(max_length=500, allow_none=True, load_default=None)


class AppPlan(WireSchema):
    attributes = fields.Nested(PlanAttributes, required=True)
    auth = StoreToken(max_length=LONGEST_TOKEN, allow_none=True, load_default=None)


class AppSession(WireSchema):
    attributes = fields.Nested(SessionAttributes, required=True)
    auth = StoreToken(max_length=LONGEST_TOKEN, allow_none=True, load_default=None)


class EitherForm(WireSchema):
    """A body in one of two forms. It becomes two arguments: `form`, which is "app" or "port", and the `wishes`."""

    holds_authorization = True
    app: ClassVar[WireSchema]
    port: ClassVar[WireSchema]

    def accept(self, data: Any) -> dict[str, Any]:
        """Return form and wishes. Raises ValidationError with a tree of messages."""
        if isinstance(data, dict) and any(plain(name) == "weightkg" for name in data):
            return {"form": "port", "wishes": self.port.accept(data)}
        return {"form": "app", "wishes": self.app.accept(data)["attributes"]}

    def authorization(self, data: Any) -> str | None:
        """Return the one text `auth`, whatever its case, None if there is none."""
        members = data.items() if isinstance(data, dict) else ()
        found = [value for name, value in members if plain(name) == "auth"]
        return found[0] if len(found) == 1 and isinstance(found[0], str) else None

    def max_json_bytes(self) -> int:
        """Return how many bytes of JSON the larger form can need."""
        return max(self.app.max_json_bytes(), self.port.max_json_bytes())


class PlanWorkout(EitherForm):
    app = AppPlan()
    port = PortPlanWishes()


class PlanSession(EitherForm):
    app = AppSession()
    port = PortSessionWishes()
