"""Plans in one answer, for apps from before the chat, and for other clients that use the same routes with another form.

POST /ai/workout  subscription, wishes → 200 plan    · 401 · 422 · 429
POST /ai/session  subscription, wishes → 200 session · 401 · 422 · 429
"""

from typing import Any

import functions_framework
from flask import Request, Response

from functions.ai import plans
from functions.ai.schemas import PlanSession, PlanWorkout
from shared import subscriptions
from shared.data import rate_limit_database, rate_limits
from shared.http import Family
from shared.subscriptions.subscribers import Subscriber

family = Family("ai")


@family.route("POST", "/ai/workout", guard=subscriptions.guard, body=PlanWorkout)
def plan_workout(*, subscriber: Subscriber, form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    rate_limits.consume(rate_limit_database(), subscriber.key, subscriber.daily_requests)
    return plans.workout(form, wishes)


@family.route("POST", "/ai/session", guard=subscriptions.guard, body=PlanSession)
def plan_session(*, subscriber: Subscriber, form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    rate_limits.consume(rate_limit_database(), subscriber.key, subscriber.daily_requests)
    return plans.session(form, wishes)


@functions_framework.http
def ai(request: Request) -> Response:
    return family.handle(request)
