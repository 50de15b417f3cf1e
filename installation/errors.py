"""Why something was not done."""


class NotInstalled(Exception):
    """It was not done; the message says what is wrong, and what mends it."""
