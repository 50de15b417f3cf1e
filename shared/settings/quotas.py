"""How much one account and one address may store, and whose address is believed."""

from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from shared.errors import InvalidSetting
from shared.settings.environment import environment_settings
from shared.settings.reading import number, text

_NO_QUOTA = 2**31 - 1


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """How much one account and one address may store. TEST_MODE lifts all of them.

    QUOTA_EVENTS                 most events of one account at a time; default 10 000 (the app keeps them for 90 days)
    QUOTA_EVENT_MIB              most ciphertext of them, in MiB; default 64 (a session is 25 KB)
    QUOTA_SHARED_ITEMS           most shared items of one account at a time; default 500
    QUOTA_FOLLOW_SECRETS         most follow secrets of one account; default 5000
    QUOTA_MIB_PER_DAY            most ciphertext that one account writes on a day (UTC), in MiB; default 64
    QUOTA_ACCOUNTS_PER_HOUR      most new accounts from one address in an hour; default 60
    TRUSTED_PROXIES              networks, separated by commas, whose X-Forwarded-For says who the client is
    """

    events: int
    event_bytes: int
    shared_items: int
    follow_secrets: int
    bytes_per_day: int
    accounts_per_hour: int


@cache
def quota_settings() -> QuotaSettings:
    """Read the quotas. Raises InvalidSetting."""
    lifted = environment_settings().test_mode
    mib = 1024 * 1024

    def most(name: str, default: int, unit: int = 1) -> int:
        return _NO_QUOTA if lifted else int(number(name, default, 1, 1_000_000)) * unit

    return QuotaSettings(
        events=most("QUOTA_EVENTS", 10_000),
        event_bytes=most("QUOTA_EVENT_MIB", 64, mib),
        shared_items=most("QUOTA_SHARED_ITEMS", 500),
        follow_secrets=most("QUOTA_FOLLOW_SECRETS", 5_000),
        bytes_per_day=most("QUOTA_MIB_PER_DAY", 64, mib),
        accounts_per_hour=most("QUOTA_ACCOUNTS_PER_HOUR", 60),
    )


@cache
def trusted_proxies() -> tuple[IPv4Network | IPv6Network, ...]:
    """Read whose word about a client's address is believed. Raises InvalidSetting."""
    try:
        return tuple(map(ip_network, filter(None, text("TRUSTED_PROXIES").replace(" ", "").split(","))))
    except ValueError:
        raise InvalidSetting("TRUSTED_PROXIES must be networks like 10.0.0.0/8, separated by commas") from None
