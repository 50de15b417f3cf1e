"""Credentials of a subscriber, and the settings of a server that knows them."""

SUBSCRIBED = {"Authorization": "Web key"}
SETTINGS = {"WEB_AUTH_API_KEY": "key"}
