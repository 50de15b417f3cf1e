"""Basic authentication (RFC 7617), which browsers and curl know."""

from base64 import b64decode


def user_and_password(authorization: str) -> tuple[str, str] | None:
    """Return what an Authorization header of the scheme Basic holds; None if it is of another one, or broken."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return user, password
