"""The tool that the model is sent: bounded wherever a grammar can bound, in words that strict mode takes."""

import json
import re
from pathlib import Path

import pytest

from functions.ai import forms
from functions.ai_chat import plans, turns
from shared.ai.shapes import strict_schema

# https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas": what strict mode takes of numbers and
# arrays; of texts it takes `pattern`, which we do without, but neither `minLength` nor `maxLength`: OpenAI is sent none
BOUNDS = {
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "array": {"minItems", "maxItems"},
    "string": {"maxLength"},
}
MOST_REPETITIONS = (
    2000  # llama.cpp's MAX_REPETITION_THRESHOLD: a grammar with as many is refused (ggml-org/llama.cpp#25746)
)


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
            bounds = set() if "enum" in schema else BOUNDS.get(schema.get("type", ""), set())
            assert schema.get("maxLength", 0) < MOST_REPETITIONS
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


CONTEXT_TOKENS = 16_384
LEAST_CHARACTERS_OF_TOKEN = 3.0  # of English and JSON: about 4


def test_the_documented_context_has_room_for_the_instructions_and_two_plans():
    """Ollama's own of 4,096 tokens would cut the instructions off without a word."""
    docs = (Path(__file__).parents[2] / "docs" / "planner.md").read_text(encoding="utf-8")
    assert f"OLLAMA_CONTEXT_LENGTH={CONTEXT_TOKENS} ollama serve" in docs
    assert re.search(rf"llama-server -m \S+ -c {CONTEXT_TOKENS} --jinja", docs)
    instructions = (turns.PROMPTS / "coach.md").read_text() + (turns.PROMPTS / "plan-v2.md").read_text()
    sent_tokens = len(instructions + json.dumps(plans.tool(2))) / LEAST_CHARACTERS_OF_TOKEN
    assert 4_000 < sent_tokens < CONTEXT_TOKENS - 2 * 4_000
