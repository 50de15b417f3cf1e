"""What the model is told of a conversation: messages in the form of chat completions, the newest ones.

A tool call and its result are always neighbours, and the first message is always a user's: some endpoints refuse
others.
"""

import json
from typing import Any
from uuid import uuid4

from functions.ai_chat import plans

MAX_MESSAGES = 20
MAX_CHARACTERS = 400_000  # about 100 000 tokens; the newest message of the user stays whatever its length
DELIVERED = (
    "The plan was delivered: the user sees it in the app and can adopt it. When the user wants a change, "
    "call the tool again with the whole changed plan."
)

History = list[dict[str, Any]]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def delivery(text: str, call_id: str, plan: dict[str, Any]) -> History:
    """Return the two messages of a plan that was delivered: the call, with what was said before it, and its result."""
    call_id = call_id or f"call_{uuid4().hex}"
    arguments = json.dumps(plan, ensure_ascii=False, separators=(",", ":"))
    function = {"name": plans.TOOL_NAME, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": text or None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": DELIVERED},
    ]


def newest(history: History) -> History:
    """Return as much of a history's end as fits, from a user's message on; at least the newest of these."""
    starts = [index for index, message in enumerate(history) if message["role"] == "user"]
    for start in starts:
        kept = history[start:]
        if len(kept) <= MAX_MESSAGES and _length(kept) <= MAX_CHARACTERS:
            return kept
    return history[starts[-1] :]


def prompt(instructions: str, history: History) -> History:
    """Return what the model is sent: instructions, then the history, in which no two messages of the user follow.

    They do after a turn that failed, and the chat templates of some models take that for an error.
    """
    messages: History = [{"role": "system", "content": instructions}]
    for message in history:
        if message["role"] == messages[-1]["role"] == "user":
            messages[-1] = user(f"{messages[-1]['content']}\n\n{message['content']}")
        else:
            messages.append(message)
    return messages


def given_by_user(history: History) -> str:
    """Return what the user said, and the plans that were delivered: the texts that may hold the user's links."""
    said = [message["content"] for message in history if message["role"] == "user"]
    return "\n".join([*said, *_delivered(history)])


def _delivered(history: History) -> list[str]:
    return [call["function"]["arguments"] for message in history for call in message.get("tool_calls", ())]


def _length(history: History) -> int:
    texts = [message["content"] or "" for message in history]
    return sum(map(len, texts + _delivered(history)))
