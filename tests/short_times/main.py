"""The chat hubs with clocks that a test can wait for."""

from functions.ai_chat.main import ai_chat
from functions.ai_chat.methods import chat, chat_v2
from shared.signalr.hubs import Timing

for hub in (chat, chat_v2):
    hub.timing = Timing(handshake=1.5, ping=0.3, client=2.0, poll=0.5, send=1, held=0.3)

__all__ = ["ai_chat"]
