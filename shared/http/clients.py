"""Whose request it is, as far as an address says: for quotas, never for logs."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from flask import Request

from shared.settings.quotas import trusted_proxies

_MAX_HOPS = 20  # addresses of X-Forwarded-For that are looked at, the nearest first
_IPV6_PREFIX = 64  # bits; a household or a phone has a network of that size


def client_address(request: Request) -> str | None:
    """Return the client's address, of IPv6 its network; None where it is nobody's.

    Nobody's are this machine's, a link's (the cloud's own front end has one there) and those of trusted proxies.

    The client's is the nearest that is no trusted proxy's. What a client claims in X-Forwarded-For lies behind it.
    """
    hops = request.headers.get("X-Forwarded-For", "").rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]
    for text in (request.remote_addr or "", *reversed(hops)):
        address = _parsed(text)
        if address is None:
            return None
        if not any(address in network for network in trusted_proxies()):
            return None if address.is_loopback or address.is_link_local else _name(address)
    return None


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().removeprefix("[").partition("]")[0].partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _name(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Address(int(address) >> (128 - _IPV6_PREFIX) << (128 - _IPV6_PREFIX)))
