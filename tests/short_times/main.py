"""The chat hubs with clocks that a test can wait for."""

from functions.ai_chat.main import ai_chat
from functions.ai_chat.methods import chat, chat_v2
from shared.signalr.hubs import Timing

for hub in (chat, chat_v2):
    hub.timing = Timing(handshake=0.6, ping=0.2, client=0.9, poll=0.3, send=1)

__all__ = ["ai_chat"]
