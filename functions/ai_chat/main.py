"""The live planner: two SignalR hubs, of which the second one speaks the newer plans.

POST   /ai-chat/negotiate, /ai-chat-v2/negotiate  subscription       → 200 connection token · 400 · 401 · 503
GET    /ai-chat, /ai-chat-v2                      upgrade, or a poll → 101 · 200 · 204 · 400 · 401 · 404 · 503
POST   /ai-chat, /ai-chat-v2                      messages           → 200 · 400 · 404 · 413 · 415
DELETE /ai-chat, /ai-chat-v2                      nothing            → 202 · 400 · 404
"""

import functions_framework
from flask import Request, Response

from functions.ai_chat.methods import chat, chat_v2
from shared.http import Family
from shared.signalr import serve

family = Family("ai_chat")
serve(family, [chat, chat_v2])


@functions_framework.http
def ai_chat(request: Request) -> Response:
    return family.handle(request)
