"""The HTTP edge: routing, strict JSON, wire fields, problem answers. The same few steps for every route."""

from shared.http import fields
from shared.http.family import Family
from shared.http.responses import JsonText
from shared.http.schema import WireSchema

__all__ = ["Family", "JsonText", "WireSchema", "fields"]
