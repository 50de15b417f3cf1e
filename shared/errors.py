"""The closed family of outcomes that end a request early. `shared.http.problems` maps each class to a status."""

from collections.abc import Mapping
from datetime import datetime


class ServiceError(Exception):
    """Base of everything that a handler or a data function may raise on purpose."""


class InvalidRequest(ServiceError):
    """The request does not have the form its route asks for. Messages name the field and the limit, never the value."""

    def __init__(self, detail: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = dict(errors or {})


class UnsupportedEncoding(ServiceError):
    """The request's body is compressed."""


class BodyTooLarge(ServiceError):
    """The body is larger than the sum of its fields' limits."""


class UnknownPath(ServiceError):
    """No route has this path."""


class Misrouted(ServiceError):
    """The path is one of the app's, but of another function, or below a prefix that a proxy should have taken away."""


class MethodNotAllowed(ServiceError):
    """The path has routes, but none for this method. `allowed` is the value of the Allow header."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


class UnknownUser(ServiceError):
    """The database has no such user, or no longer."""


class UnknownSharedItem(ServiceError):
    """The database has no such shared item, or it has expired."""


class NotSubscribed(ServiceError):
    """No store has said that the token belongs to a paid subscription."""


class WrongPassword(ServiceError):
    """The user exists and this is not the password; for shared items also: there is no such user."""


class InboxFull(ServiceError):
    """As many messages wait in the inbox as it may hold."""


class StorageFull(ServiceError):
    """There is no more room on the database's disk. What is stored can be read and deleted."""


class QuotaExceeded(ServiceError):
    """The account, or the address, has stored as much as it may; the message is the name of the quota."""


class AccountTaken(ServiceError):
    """The id, the lookup or a shared item's id of the document is taken on this server; nothing was changed.

    `member` of the document is which.
    """

    def __init__(self, member: str) -> None:
        super().__init__(member)
        self.member = member


class RateLimited(ServiceError):
    """As many requests were made within the last 24 hours as may be; `retry_at` is when the next one is possible."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__()
        self.retry_at = retry_at


class ModelUnavailable(ServiceError):
    """The language model could not be asked, or did not answer with what it was asked for.

    `is_of_model`: it counts as a failure of the model.
    """

    def __init__(self, message: str = "", *, is_of_model: bool = True) -> None:
        super().__init__(message)
        self.is_of_model = is_of_model


class ModelRefused(ServiceError):
    """The language model declines this request; another one may be answered."""


class ContextFull(ServiceError):
    """The conversation is longer than the language model can read; a shorter one may be answered."""


class DatabaseUnavailable(ServiceError):
    """The database could not be asked, or could not answer in time. Nothing is known about what it holds."""


class InvalidSetting(ServiceError):
    """The service is not configured; the message names the environment variable and what it must be."""


class NotOperator(ServiceError):
    """The request shows neither the operators' token nor an identity that is configured as an operator's."""


class TooManyTries(ServiceError):
    """Too many wrong tokens of operators came from this address; the next one is looked at a minute later."""


class ProviderUnavailable(ServiceError):
    """A service of the cloud that the answer needs could not be asked; the message names it."""


class ForeignPage(ServiceError):
    """A page of another site has a browser ask for what is for operators."""


class UnknownConnection(ServiceError):
    """There is no such chat connection, or no longer."""


class ChatsFull(ServiceError):
    """This process holds as many chats as it may."""


class Overloaded(ServiceError):
    """A bounded resource of this process stayed busy past its deadline."""


class WrongKey(ServiceError):
    """The name has no such key for backups, or there is no such name."""


class UnknownBackup(ServiceError):
    """The database has no such backup of this name, or no longer."""


class BackupsOff(ServiceError):
    """This server keeps no backups of phones; BACKUP_STORE turns that on."""


class DumpsOff(ServiceError):
    """This server writes no backups of its database itself."""


class RangeNotSatisfiable(ServiceError):
    """The file ends before the range that is asked for.

    `byte_count` is how long it is.
    """

    def __init__(self, byte_count: int) -> None:
        super().__init__()
        self.byte_count = byte_count
