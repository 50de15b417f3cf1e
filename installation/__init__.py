"""Installs a server of one's own that stays, on Debian: releases side by side, systemd, Caddy in front, nightly dumps.

It needs Python and nothing else, so that it runs before there is an environment. docs/self-hosting.md is its manual.
"""
