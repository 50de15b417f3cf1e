"""What the model is told of a conversation: messages in the form of chat completions, the newest ones.

A tool call and its result are always neighbours, and the first message is always a user's: some endpoints refuse
others. Before it may stand a note about the user, which becomes part of the instructions. Table `chats` keeps the same.
"""

import json
from typing import Any
from uuid import uuid4

from functions.ai_chat import plans

MAX_MESSAGES = 20  # the note is none of them
BYTES_PER_TOKEN = 3
DELIVERED = (
    "The plan was delivered: the user sees it in the app and can adopt it. When the user wants a change, "
    "call the tool again with the whole changed plan."
)

History = list[dict[str, Any]]


def noted(history: History, note: str) -> History:
    """Return the conversation with another note about the user: what holds for all of it, in words of ours."""
    return [{"role": "system", "content": note}, *_messages(history)]


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


def newest(history: History, max_tokens: int) -> History:
    """Return the note, the newest plan with the wish for it, and as much of the end as fits, from a user's message on.

    The newest message of the user stays whatever its length, the plan only if it fits beside that.
    """
    note, messages = _note(history), _messages(history)
    starts = [index for index, message in enumerate(messages) if message["role"] == "user"]
    for start in starts:
        kept = [*_newest_plan(messages, start), *messages[start:]]
        if len(kept) <= MAX_MESSAGES and tokens(kept) <= max_tokens:
            return note + kept
    return note + messages[starts[-1] :]


def tokens(history: History) -> int:
    """Estimate the tokens of a conversation: a third of its texts' bytes in UTF-8.

    Measured in docs/planner.md. Tokenizers that work on bytes, as most do today, never make more of a text than three
    times that.
    """
    texts = [message["content"] or "" for message in history]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts + _delivered(history)) // BYTES_PER_TOKEN


def prompt(instructions: str, history: History) -> History:
    """Return what the model is sent: instructions and note, then the history; no two messages of the user follow.

    They do after a turn that failed, and the chat templates of some models take that for an error.
    """
    notes = [message["content"] for message in _note(history)]
    messages: History = [{"role": "system", "content": "\n\n".join([instructions, *notes])}]
    for message in _messages(history):
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


def _note(history: History) -> History:
    return [message for message in history[:1] if message["role"] == "system"]


def _messages(history: History) -> History:
    return history[len(_note(history)) :]


def _newest_plan(messages: History, before: int) -> History:
    """Return the newest plan that was delivered, with the wish for it, if it stands before that place."""
    calls = [index for index, message in enumerate(messages) if message.get("tool_calls")]
    if not calls or calls[-1] >= before:
        return []
    wish = next(index for index in range(calls[-1], -1, -1) if messages[index]["role"] == "user")
    return [messages[wish], *messages[calls[-1] : calls[-1] + 2]]
