"""The language model that plans workouts, and the chats with it."""

import os
from dataclasses import dataclass
from functools import cache

from shared.errors import InvalidSetting
from shared.settings.reading import base_url, number, text

OPENAI_URL = "https://api.openai.com/v1"
THREADS_BESIDE_CHATS = 16


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which language model plans workouts, behind any endpoint that speaks OpenAI's chat completions.

    OPENAI_BASE_URL              default https://api.openai.com/v1; another one may need no key
    OPENAI_MODEL                 default gpt-4.1
    OPENAI_TIMEOUT_SECONDS       longest silence before an answer and within it, 1 to 600; default 60
    OPENAI_HISTORY_TOKENS        most tokens, as we estimate them, of what was said in a chat that the model is sent
                                 again, 0 to 1 000 000; default 100 000
    """

    base_url: str
    model: str
    timeout_seconds: float
    history_tokens: int = 100_000


@cache
def model_settings() -> ModelSettings:
    """Read the language model's settings. Raises InvalidSetting."""
    return ModelSettings(
        base_url=base_url("OPENAI_BASE_URL", OPENAI_URL),
        model=text("OPENAI_MODEL", "gpt-4.1"),
        timeout_seconds=number("OPENAI_TIMEOUT_SECONDS", 60, 1, 600),
        history_tokens=int(number("OPENAI_HISTORY_TOKENS", 100_000, 0, 1_000_000)),
    )


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How many chats there may be.

    CHAT_LIMIT                   most chats of one process at once, 1 to 10 000; default 50
    CHAT_TURNS_PER_DAY           most turns of one subscriber in any 24 hours, 0: as many as they like; default 100
    THREADS                      requests at once in one process; with chats at least CHAT_LIMIT + 16; default four per
                                 core, and in `make serve` CHAT_LIMIT + 16
    """

    limit: int
    turns_per_day: int


@cache
def chat_settings() -> ChatSettings:
    """Read the chats' settings. Raises InvalidSetting, also when there are too few threads for so many chats."""
    threads = int(number("THREADS", (os.cpu_count() or 1) * 4, 1, 20_000))  # functions-framework's own default
    if threads < threads_with_chats():
        raise InvalidSetting(
            f"THREADS must be at least {threads_with_chats()}: each of CHAT_LIMIT={_chat_limit()} chats has one, and"
            f" other requests need {THREADS_BESIDE_CHATS}"
        )
    return ChatSettings(_chat_limit(), int(number("CHAT_TURNS_PER_DAY", 100, 0, 1_000_000)))


def threads_with_chats() -> int:
    """Return how many threads a process with chats needs. Raises InvalidSetting."""
    return _chat_limit() + THREADS_BESIDE_CHATS


def _chat_limit() -> int:
    return int(number("CHAT_LIMIT", 50, 1, 10_000))
