"""What went wrong where a question was asked, and whose fault it is: the question's, the model's, or of the moment.

Nothing of what was said leaves this module: the text is only searched. The wordings are those of error bodies that
were reported of each endpoint (docs/planner.md, "Endpoints").
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from shared.errors import ContextFull, ModelRefused, ModelUnavailable

REFUSALS = frozenset({400, 413, 422})  # of this question: another one may be answered
LASTING = frozenset({401, 403, 404, 408, 409, 425, 429})  # of 4xx, they say nothing of the question
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 530)})  # 52x: of Cloudflare and Anthropic
MOST_SEARCHED_CHARACTERS = 4_000
_REFUSED = re.compile(r"content_filter|content_policy_violation|responsibleaipolicyviolation", re.IGNORECASE)
_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size"  # OpenAI, Groq; llama.cpp
    r"|context (?:size|length|window)"  # llama.cpp, vLLM, DeepSeek, LM Studio, Ollama, SGLang
    r"|maximum (?:context|prompt|input) length|prompt is too long|prompt (?:contains|too long)"  # xAI, Anthropic
    r"|input token count|n_keep: \d+ ?>= ?n_ctx"  # Gemini, LM Studio
    r"|reduce the length of|reduce your message size|too many (?:input )?tokens|string_above_max_length",
    re.IGNORECASE,
)
_STATUS_OF_WORD = (
    (re.compile(r"invalid_?request|bad_?request|invalid_argument|unprocessable", re.IGNORECASE), 400),
    (re.compile(r"rate_?limit|too_?many|resource_exhausted", re.IGNORECASE), 429),
    (re.compile(r"authentication|permission|unauthori[sz]ed", re.IGNORECASE), 401),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal or an error of an endpoint. `status`: of HTTP, or what an error inside the stream calls its code; 0
    where nothing answered, and `text` says why.
    """

    status: int
    text: str
    in_stream: bool = False
    said: str = ""  # Groq's `failed_generation`: what the model said where that was no valid call, or no JSON

    @property
    def is_context(self) -> bool:
        """Tell whether the conversation is too long for the model, whatever status says so: llama.cpp's was 500."""
        return _CONTEXT.search(self.text) is not None

    @property
    def is_refusal(self) -> bool:
        """Tell whether the question is at fault."""
        is_of_question = self.in_stream and 400 <= self.status < 500 and self.status not in LASTING
        return self.status in REFUSALS or is_of_question or _REFUSED.search(self.text) is not None

    @property
    def may_pass(self) -> bool:
        """Tell whether the same question may be answered in a moment."""
        is_lasting = "insufficient_quota" in self.text or self.is_context or self.is_refusal
        return self.status in RETRIED and not is_lasting

    def error(self) -> ContextFull | ModelRefused | ModelUnavailable:
        """Return an error of ours, without anything of what was said."""
        place = "an error of code" if self.in_stream else "status"
        if self.is_context:
            return ContextFull(f"{place} {self.status}")
        if self.is_refusal:
            return ModelRefused(f"{place} {self.status}")
        is_of_model = not (self.in_stream and 400 <= self.status < 500)
        return ModelUnavailable(f"{place} {self.status}" if self.status else self.text, is_of_model=is_of_model)


def of_response(status: int, body: str) -> Fault:
    """Return the fault that an HTTP response tells."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    error = value.get("error") if isinstance(value, dict) else None
    return Fault(status, body[:MOST_SEARCHED_CHARACTERS], said=_failed_generation(error))


def of_event(error: Any) -> Fault:
    """Return the fault that an error in place of a chunk tells: an object, or a text as Ollama sends."""
    text = json.dumps(error, ensure_ascii=False)[:MOST_SEARCHED_CHARACTERS]
    return Fault(_code(error), text, in_stream=True, said=_failed_generation(error))


def _failed_generation(error: Any) -> str:
    said = error.get("failed_generation") if isinstance(error, dict) else None
    return said if isinstance(said, str) else ""


def _code(error: Any) -> int:
    """Return the error's code as a status of HTTP, 500 where it has none."""
    members = error if isinstance(error, dict) else {}
    for name in ("code", "status", "status_code"):
        value = str(members.get(name))
        if value.isdecimal() and len(value) == 3:
            return int(value)
    words = " ".join(str(members.get(name)) for name in ("code", "type", "status"))
    return next((status for pattern, status in _STATUS_OF_WORD if pattern.search(words)), 500)
