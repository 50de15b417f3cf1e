"""One round of repair: an answer that is of no use goes back to the model once, with its fault named."""

import json
from typing import Any

from shared.ai import lenient
from shared.ai.questions import Question
from shared.metrics import registry

MOST_REPEATED_CHARACTERS = 20_000  # of the answer at fault
CUT = "cut"
_SHORTENED = " … (the rest is left out here)"
_FAULTS = {
    lenient.NO_JSON: "It is not valid JSON.",
    CUT: "It was cut off because it became too long. Answer with a shorter one: fewer words in notes and descriptions.",
}


def fault_in_words(fault: str) -> str:
    """Return what the model is told of a fault: that of a Mismatch is the path to it."""
    place = f"The member `{fault}` is missing, empty or of another form than the schema says."
    return _FAULTS.get(fault, place)


def of_text(question: Question, answer: str, fault: str, wanted: str) -> Question:
    """Return the question again, with an answer that was only text, and its fault. `wanted` is what is asked for."""
    said = lenient.without_thoughts(answer).strip() or "(nothing)"
    if len(said) > MOST_REPEATED_CHARACTERS:
        said = said[:MOST_REPEATED_CHARACTERS] + _SHORTENED
    complaint = f"Your answer cannot be used. {fault_in_words(fault)} {wanted}"
    return _with(question, {"role": "assistant", "content": said}, {"role": "user", "content": complaint})


def of_call(question: Question, name: str, arguments: str, fault: str, wanted: str) -> Question:
    """Return the question again, with a tool call, and its fault as the tool's result.

    Servers parse the arguments of calls in the conversation (llama.cpp for its templates), so others go as text.
    """
    try:
        is_object = isinstance(json.loads(arguments), dict) and len(arguments) <= MOST_REPEATED_CHARACTERS
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        return of_text(question, f"{name}({arguments})", fault, wanted)
    call = {"id": "call_at_fault", "type": "function", "function": {"name": name, "arguments": arguments}}
    complaint = f"The call failed. {fault_in_words(fault)} {wanted}"
    return _with(
        question,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_at_fault", "content": complaint},
    )


def count(*, was_of_use: bool) -> None:
    """Count a round of repair by its outcome."""
    registry.count("liftlog_ai_repairs_total", outcome="repaired" if was_of_use else "failed")


def _with(question: Question, *messages: dict[str, Any]) -> Question:
    return Question([*question.messages, *messages], question.tools, question.response_format)
