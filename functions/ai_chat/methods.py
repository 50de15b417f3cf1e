"""The methods of both hubs. What the model does with a turn is in `turns`."""

from dataclasses import replace

from functions.ai_chat import histories, plans, turns
from functions.ai_chat.turns import Cancelled
from shared.data import rate_limit_database, rate_limits
from shared.errors import RateLimited, ServiceError
from shared.settings.planner import chat_settings
from shared.signalr import Conversation, ConversationState, Hub, Turn

NO_MORE_TODAY = "You have had all the answers that I can give within 24 hours. Please come back at {time} UTC."
NOT_NOW = "Sorry, the planner has a problem right now. Please try again in a minute."

chat = Hub("/ai-chat")
chat_v2 = Hub("/ai-chat-v2")


@chat.turn("Introduce")
def introduce(turn: Turn, locale: str | None = None) -> ConversationState:
    return _play(_noted(turn, locale), turns.introduction(locale, None), version=1)


@chat.turn("SendMessage")
def send_message(turn: Turn, text: str) -> ConversationState:
    return _play(turn, text, version=1)


@chat_v2.turn("Introduce")
def introduce_v2(
    turn: Turn, locale: str | None = None, plan_version: int = 0, weight_unit: str | None = None
) -> ConversationState:
    return _play_v2(_noted(turn, locale, weight_unit), turns.introduction(locale, weight_unit), plan_version)


@chat_v2.turn("SendMessage")
def send_message_v2(turn: Turn, text: str, plan_version: int = 0) -> ConversationState:
    return _play_v2(turn, text, plan_version)


@chat.act("StopInProgress")
@chat_v2.act("StopInProgress")
def stop_in_progress(conversation: Conversation) -> None:
    conversation.stop()


@chat.act("RestartChat")
@chat_v2.act("RestartChat")
def restart_chat(conversation: Conversation) -> None:
    conversation.restart()


def _noted(turn: Turn, locale: str | None, weight_unit: str | None = None) -> Turn:
    return replace(turn, state=histories.noted(turn.state, turns.note(locale, weight_unit)))


def _play_v2(turn: Turn, text: str, plan_version: int) -> ConversationState:
    if plan_version < plans.PLAN_VERSION:
        turn.send(turns.UPDATE_REQUIRED)
        return turn.state
    return _play(turn, text, version=2)


def _play(turn: Turn, text: str, *, version: int) -> ConversationState:
    """Ask the model, unless the subscriber has had all turns of the day."""
    try:
        _count(turn.subscriber)
    except RateLimited as error:
        turn.send(turns.text_message(NO_MORE_TODAY.format(time=f"{error.retry_at:%H:%M}")))
        return turn.state
    except ServiceError:
        turn.send(turns.text_message(NOT_NOW))
        return turn.state
    try:
        return turns.play(turn.state, text, version=version, emit=turn.send, cancelled=turn.cancelled)
    except Cancelled as cancelled:
        return cancelled.history


def _count(subscriber: str) -> None:
    """Count a turn. Raises RateLimited, DatabaseUnavailable, InvalidSetting."""
    turns_per_day = chat_settings().turns_per_day
    if turns_per_day > 0:
        rate_limits.consume(rate_limit_database(), f"chat:{subscriber}", turns_per_day)
