"""Accounts: made by the server, described by their owner in ciphertext, readable by anyone who knows id or lookup.

POST /user/create          nothing                         → 200 id, lookup, password
GET  /user/{id_or_lookup}  no credentials                  → 200 user · 404
PUT  /user                 credentials, the whole profile  → 200 · 404 · 401
POST /user/delete          credentials                     → 200 · 404 · 401
POST /users                ids                             → 200 those that exist
"""

from typing import Any
from uuid import UUID

import functions_framework
from flask import Request, Response, request

from functions.user.schemas import CreatedUser, CreateUser, DeleteUser, ListUsers, PutUser, User, Users
from shared.credentials import Credentials
from shared.data import database, users
from shared.http import Family, JsonText
from shared.http.clients import client_address
from shared.http.formats import parse_uuid

family = Family("user")


@family.route("POST", "/user/create", body=CreateUser, answer=CreatedUser, stores=True)
def create_user() -> users.NewUser:
    return users.create(database(), address=client_address(request))


@family.route("GET", "/user/{id_or_lookup}", answer=User)
def get_user(*, id_or_lookup: str) -> JsonText:
    user_id = parse_uuid(id_or_lookup)
    lookup = id_or_lookup if user_id is None else None
    return JsonText(users.get(database(), user_id=user_id, lookup=lookup))


@family.route("PUT", "/user", body=PutUser)
def put_user(*, user_id: UUID, password: str, **profile: Any) -> None:
    users.put(database(), Credentials(user_id, password), users.Profile(**profile))


@family.route("POST", "/user/delete", body=DeleteUser)
def delete_user(*, user_id: UUID, password: str) -> None:
    users.delete(database(), Credentials(user_id, password))


@family.route("POST", "/users", body=ListUsers, answer=Users)
def list_users(*, ids: list[UUID]) -> JsonText:
    return JsonText(users.list_by_ids(database(), ids))


@functions_framework.http
def user(request: Request) -> Response:
    return family.handle(request)
