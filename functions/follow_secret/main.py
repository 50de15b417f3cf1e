"""Follow secrets: an author's app makes them and gives them to followers; taking one back ends that follow.

PUT  /follow-secret         credentials, followSecret → 200 · 404 · 401
POST /follow-secret/delete  credentials, followSecret → 200, also if there is none · 404 · 401
"""

from uuid import UUID

import functions_framework
from flask import Request, Response

from functions.follow_secret.schemas import FollowSecret
from shared.credentials import Credentials
from shared.data import database, follow_secrets
from shared.http import Family

family = Family("follow_secret")


@family.route("PUT", "/follow-secret", body=FollowSecret)
def put_follow_secret(*, user_id: UUID, password: str, follow_secret: str) -> None:
    follow_secrets.put(database(), Credentials(user_id, password), follow_secret)


@family.route("POST", "/follow-secret/delete", body=FollowSecret)
def delete_follow_secret(*, user_id: UUID, password: str, follow_secret: str) -> None:
    follow_secrets.delete(database(), Credentials(user_id, password), follow_secret)


@functions_framework.http
def follow_secret(request: Request) -> Response:
    return family.handle(request)
