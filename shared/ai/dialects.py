"""What an endpoint takes of what we would like to send, learned from its refusals.

A question is first asked with everything. Where an endpoint refuses a part of it, it gets less: another name for the
limit of tokens, a schema without bounds, a JSON object with the schema in the prompt, a tool as text.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from shared.ai.faults import Fault
from shared.ai.questions import Question
from shared.settings.planner import OPENAI_URL

MAX_OUTPUT_TOKENS = 16_000
STATUSES = frozenset({400, 404, 405, 413, 415, 422, 500, 501})  # with which endpoints refuse a part; llama.cpp's is 500
ANSWER_FORM = (
    "# The form of your answer\n\nAnswer with one JSON object and nothing else. It must fit this JSON schema:"
    "\n\n{schema}"
)
TOOL_FORM = (
    "# How to call the tool\n\nThe tool `{name}`: {description} To call it, write `<tool_call>`, then a JSON object "
    '{{"name": "{name}", "arguments": …}}, then `</tool_call>`, and nothing after it. `arguments` must fit this JSON '
    "schema:\n\n{schema}"
)
LEAST_LIMIT = 1_000  # with less no plan comes to its end
_RATION = re.compile(r"limit (\d{1,9}), requested (\d{1,9})", re.IGNORECASE)
_BOUNDS = ("minimum", "maximum", "minItems", "maxItems")

_PARTS = {
    "limit_name": "max_completion_tokens",
    "limit": "16000 tokens",
    "usage": "stream_options",
    "one_call": "parallel_tool_calls",
    "strict": "strict",
    "lengths": "lengths in schemas",
    "bounds": "bounds in schemas",
    "references": "$ref in schemas",
    "tools": "tools",
    "answer": "json_schema",
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is sent."""

    limit_name: str = "max_completion_tokens"  # or max_tokens; "": none is sent
    limit: int = MAX_OUTPUT_TOKENS
    usage: bool = True  # asked for by `stream_options`: how many tokens an answer took
    one_call: bool = True  # asked for by `parallel_tool_calls`; OpenAI is strict only then
    strict: bool = True
    lengths: bool = True  # of texts, in schemas: OpenAI's strict mode takes none
    bounds: bool = True  # of numbers and arrays, in schemas
    references: bool = True  # `$ref` and `additionalProperties` in schemas
    tools: bool = True  # else as text in the prompt
    answer: str = "json_schema"  # or json_object with the schema in the prompt; "": only the latter

    def request(self, question: Question) -> Json:
        """Return what is sent of a question, without the model's name."""
        messages = list(question.messages)
        body: Json = {"messages": messages, "stream": True}
        if self.usage:
            body["stream_options"] = {"include_usage": True}
        if self.limit_name:
            body[self.limit_name] = self.limit
        if question.tools and self.tools:
            body["tools"] = [self._tool(tool) for tool in question.tools]
            if self.one_call:
                body["parallel_tool_calls"] = False
        elif question.tools:
            texts = [_tool_in_words(self._tool(tool)["function"]) for tool in question.tools]
            body["messages"] = _instructed(_without_calls(messages), *texts)
        if question.response_format is not None:
            body |= self._answer(question.response_format, messages)
        return body

    def less(self, fault: Fault) -> "Dialect | None":
        """Return what remains of it after a refusal, None if that refused no part of it."""
        if fault.status not in STATUSES:
            return None
        steps = (step(self, fault.text) for pattern, step in _STEPS if pattern.search(fault.text))
        return next((dialect for dialect in steps if dialect != self), None)

    def what_is_left_out(self) -> str:
        """Return the parts that are not sent as we would like, for the log."""
        wanted = Dialect()
        return ", ".join(words for name, words in _PARTS.items() if getattr(self, name) != getattr(wanted, name))

    def _tool(self, tool: Json) -> Json:
        function = tool["function"] | {"parameters": self._schema(tool["function"].get("parameters", {}))}
        if not self.strict:
            function.pop("strict", None)
        return tool | {"function": function}

    def _answer(self, response_format: Json, messages: list[Json]) -> Json:
        if "json_schema" not in response_format:
            return {"response_format": response_format}
        form = response_format["json_schema"] | {"schema": self._schema(response_format["json_schema"]["schema"])}
        if not self.strict:
            form.pop("strict", None)
        if self.answer == "json_schema":
            return {"response_format": {"type": "json_schema", "json_schema": form}}
        text = ANSWER_FORM.format(schema=json.dumps(form["schema"], ensure_ascii=False))
        answer: Json = {"messages": _instructed(messages, text)}
        return answer | ({"response_format": {"type": "json_object"}} if self.answer else {})

    def _schema(self, schema: Json) -> Json:
        if not self.references:
            schema = _inlined(schema, schema.get("$defs", {}))
        if not self.lengths:
            schema = _without_lengths(schema)
        return schema if self.bounds else _unbounded(schema)


def first(base_url: str) -> Dialect:
    """Return what an endpoint is sent before it has refused anything."""
    return Dialect(lengths=base_url != OPENAI_URL)


def _limited(dialect: Dialect, text: str) -> Dialect:
    """Keep to the greatest limit that a refusal names. None is sent where the conversation's length decides."""
    named = [int(number) for number in re.findall(r"\b\d{3,6}\b", text) if int(number) < dialect.limit]
    if "context" in text.lower() or "completion)" in text or not named:
        return replace(dialect, limit_name="")
    return replace(dialect, limit=max(named))


def _rationed(dialect: Dialect, text: str) -> Dialect:
    """Keep to what a ration of tokens per minute leaves, against which Groq counts the limit."""
    ration, requested = (int(number) for number in _RATION.findall(text)[0])
    room = ration - (requested - dialect.limit)
    return replace(dialect, limit=room) if LEAST_LIMIT <= room < dialect.limit else dialect


def _renamed_limit(dialect: Dialect, _text: str) -> Dialect:
    return replace(dialect, limit_name="max_tokens" if dialect.limit_name == "max_completion_tokens" else "")


def _plainer_schema(dialect: Dialect, _text: str) -> Dialect:
    return replace(dialect, lengths=False, bounds=False, references=dialect.references and dialect.bounds)


def _other_answer(dialect: Dialect, _text: str) -> Dialect:
    return replace(dialect, answer="json_object" if dialect.answer == "json_schema" else "")


# What is refused, by the words of error bodies, and what then is left: the first that changes anything counts.
_STEPS: tuple[tuple[re.Pattern[str], Callable[[Dialect, str], Dialect]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), step)
    for pattern, step in (
        (_RATION.pattern, _rationed),
        (
            r"max_(?:completion_)?tokens.{0,90}(?:too large|less than or equal|valid range|maximum|at most)"
            r"|valid range of max_|in the completion\)|supports at most \d+ completion",
            lambda dialect, text: _limited(dialect, text) if dialect.limit_name else dialect,
        ),
        (r"max_completion_tokens", _renamed_limit),
        (
            r"max_tokens",
            lambda dialect, text: _renamed_limit(dialect, text) if dialect.limit_name == "max_tokens" else dialect,
        ),
        (r"stream_?options|include_usage", lambda dialect, _: replace(dialect, usage=False)),
        (r"parallel_tool_calls|parallel tool calls", lambda dialect, _: replace(dialect, one_call=False)),
        (r"[\"'`]strict\\?[\"'`]|strict (?:mode|parameter)", lambda dialect, _: replace(dialect, strict=False)),
        (
            r"does not support (?:tools|tool|function)|tools? (?:param|use\b|choice)|unsupported param: tools"
            r"|tool.call.parser|(?:tools|function call\w*|tool call\w*) (?:is|are) not (?:supported|enabled)"
            r"|\\?[\"'`]tools\\?[\"'`].{0,60}(?:not|unsupported|unknown|unrecognized|forbidden|extra)"
            r"|(?:not|unsupported|unknown|unrecognized|forbidden|extra).{0,60}\\?[\"'`]tools\\?[\"'`]",
            lambda dialect, _: replace(dialect, tools=False),
        ),
        (r"max_?length|repetitions|parse grammar", lambda dialect, _: replace(dialect, lengths=False)),
        (
            r"min_?items|max_?items|[\"'`](?:minimum|maximum)\\?[\"'`]|too many states|xgrammar",
            _plainer_schema,
        ),
        (r"\$ref|\$defs|additional_?properties|any_?of\b|grammar|invalid schema|too complex", _plainer_schema),
        (r"\bstrict\b", lambda dialect, _: replace(dialect, strict=False)),
        (r"response_?format|json_schema|json_object|response format|structured output", _other_answer),
        (r"request contains an invalid argument", _plainer_schema),
    )
)


def _tool_in_words(function: Json) -> str:
    schema = json.dumps(function["parameters"], ensure_ascii=False)
    return TOOL_FORM.format(name=function["name"], description=function["description"], schema=schema)


def _instructed(messages: list[Json], *texts: str) -> list[Json]:
    """Return the messages with more instructions in the first one."""
    has_system = bool(messages) and messages[0]["role"] == "system"
    said = [messages[0]["content"]] if has_system else []
    return [{"role": "system", "content": "\n\n".join([*said, *texts])}, *messages[int(has_system) :]]


def _without_calls(messages: list[Json]) -> list[Json]:
    """Return the messages with calls as text and their results as the user's, no two of the user's in a row."""
    plain: list[Json] = []
    for message in map(_in_words, messages):
        if plain and message["role"] == plain[-1]["role"] == "user":
            plain[-1] = {"role": "user", "content": f"{plain[-1]['content']}\n\n{message['content']}"}
        else:
            plain.append(message)
    return plain


def _in_words(message: Json) -> Json:
    if message["role"] == "tool":
        return {"role": "user", "content": f"(Result of the tool: {message['content']})"}
    calls = "".join(map(_call_in_words, message.get("tool_calls", ())))
    return {"role": message["role"], "content": f"{message['content'] or ''}{calls}"}


def _call_in_words(call: Json) -> str:
    function = call["function"]
    return f'<tool_call>{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}</tool_call>'


def _unbounded(schema: Any) -> Any:
    """Return a schema whose bounds stand in the descriptions."""
    if isinstance(schema, list):
        return [_unbounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _unbounded(value) for name, value in schema.items() if name not in _BOUNDS}
    words = list(_bounds_in_words(schema))
    return plain | {"description": ", ".join(filter(None, [schema.get("description"), *words]))} if words else plain


def _without_lengths(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_lengths(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _without_lengths(value) for name, value in schema.items() if name != "maxLength"}


def _bounds_in_words(schema: Json) -> Iterator[str]:
    if isinstance(schema.get("minimum"), int | float):
        yield f"{schema['minimum']} to {schema['maximum']}"
    if isinstance(schema.get("minItems"), int):
        yield f"{schema['minItems']} to {schema['maxItems']} elements"


def _inlined(schema: Any, definitions: Json) -> Any:
    """Return a schema with what it refers to in place, and open objects."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    left_out = {"$defs", "additionalProperties"}
    return {name: _inlined(value, definitions) for name, value in schema.items() if name not in left_out}
