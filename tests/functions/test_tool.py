"""The tool that the model is sent: bounded wherever a grammar can bound, in words that strict mode takes."""

import pytest

from functions.ai import forms
from functions.ai_chat import plans
from shared.ai.shapes import strict_schema

# https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas": what strict mode takes of numbers and
# arrays; of texts it takes `pattern`, which we do without, but neither `minLength` nor `maxLength`
BOUNDS = {"integer": {"minimum", "maximum"}, "number": {"minimum", "maximum"}, "array": {"minItems", "maxItems"}}


def parts_of(schema):
    """The schemas right within a schema, those that it refers to aside."""
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def schemas_in(schema):
    yield schema
    for part in parts_of(schema):
        yield from schemas_in(part)


def depth_of(schema):
    return 1 + max(map(depth_of, parts_of(schema)), default=0)


def assert_strict_and_bounded(parameters):
    words = {"type", "description", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "$ref"}
    definitions = parameters.pop("$defs", {})
    for each in (parameters, *definitions.values()):
        assert depth_of(each) <= 5
        for schema in schemas_in(each):
            bounds = BOUNDS.get(schema.get("type", ""), set())
            assert bounds <= set(schema) <= words | bounds
            assert schema.get("$ref", "#/$defs/Session").removeprefix("#/$defs/") in {"Session", *definitions}
            if schema.get("type") == "object":
                assert schema["additionalProperties"] is False
                assert schema["required"] == list(schema["properties"])
    return definitions


@pytest.mark.parametrize("version", [1, 2])
def test_the_tool_is_strict_and_bounded(version):
    function = plans.tool(version)["function"]
    assert function["name"] == "create_workout_plan"
    assert function["strict"] is True
    definitions = assert_strict_and_bounded(function["parameters"])
    assert not {"version", "lastEdited"} & {name for each in definitions.values() for name in each["properties"]}


@pytest.mark.parametrize("form", [*forms.WORKOUT.values(), *forms.SESSION.values()])
def test_the_forms_of_plans_in_one_answer_are_strict_and_bounded(form):
    assert_strict_and_bounded(strict_schema(form.shape))
