"""CUID2 identifiers: lookups of accounts and ids of shared items, as the apps know them."""

from functools import cache

from cuid2 import Cuid

LENGTH = 12


def new_cuid() -> str:
    """Return a new CUID2 of 12 characters: 26 × 36^11 values, so a collision is left to the unique index and a 503."""
    return _generator().generate()


@cache
def _generator() -> Cuid:
    """Made once a process, at first use: its fingerprint costs twice as much as an identifier."""
    return Cuid(length=LENGTH)
