"""Random instances of the JSON schemas that the model is sent: what a model may say that knows the schema alone.

It knows just the words that are sent, and refuses others. (`hypothesis-jsonschema` had its last release in February
2024; its instances of these schemas would be as small.)
"""

from typing import Any

from hypothesis import strategies as st

MORE_THAN_LEAST = 2  # elements of an array
UNBOUNDED = 10**12
_WORDS = {"type", "description", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "$ref"}
_WORDS |= {"minimum", "maximum", "minItems", "maxItems", "maxLength", "$defs"}

Json = dict[str, Any]


def instances(schema: Json) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of a schema that stands for itself."""
    made: dict[str, st.SearchStrategy[Any]] = {}
    return _of(schema, schema.get("$defs", {}), made)


def _of(schema: Json, definitions: dict[str, Json], made: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    assert set(schema) <= _WORDS, set(schema) - _WORDS
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in made:
            made[name] = _of(definitions[name], definitions, made)
        return made[name]
    if "anyOf" in schema:
        return st.one_of([_of(each, definitions, made) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            assert schema["required"] == list(schema["properties"])
            members = {name: _of(each, definitions, made) for name, each in schema["properties"].items()}
            return st.fixed_dictionaries(members)
        case "array":
            least = schema.get("minItems", 0)
            most = min(schema.get("maxItems", UNBOUNDED), least + MORE_THAN_LEAST)
            return st.lists(_of(schema["items"], definitions, made), min_size=least, max_size=most)
        case _:
            return _scalar(schema)


def _scalar(schema: Json) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum", -UNBOUNDED), schema.get("maximum", UNBOUNDED)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(st.characters(codec="utf-8"), max_size=min(8, schema.get("maxLength", UNBOUNDED))),
        "boolean": st.booleans(),
        "null": st.none(),
        "integer": st.integers(least, most),
        "number": st.floats(least, most, allow_nan=False) | st.integers(least, most),
    }
    return kinds[schema["type"]]
