"""SignalR hubs, as ASP.NET Core's clients know them: JSON protocol 1, over WebSockets and long polling.

endpoints → transport (`sockets`, `polling`) → `hubs.dispatch` → a conversation → the hub's methods
"""

from shared.signalr.endpoints import serve
from shared.signalr.hubs import Conversation, ConversationState, Hub, Turn

__all__ = ["Conversation", "ConversationState", "Hub", "Turn", "serve"]
