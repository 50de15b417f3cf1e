"""Whoever has proven a subscription."""

from dataclasses import dataclass

WEB_DAILY_REQUESTS, DAILY_REQUESTS = 100, 20  # in any 24 hours, of the REST routes


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose request this is, as far as anybody needs to know."""

    store: str  # web, revenuecat, google or apple
    key: str  # upper-case hex SHA-256 of the token, under which the rate limits count; the token is kept nowhere

    @property
    def daily_requests(self) -> int:
        """How many requests to the REST routes the store's subscribers have in any 24 hours."""
        return WEB_DAILY_REQUESTS if self.store == "web" else DAILY_REQUESTS
