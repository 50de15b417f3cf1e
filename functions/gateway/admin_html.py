"""How the page at /admin looks. Every text that is not ours is escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from flask import Response

from functions.gateway.dumps import Dumps
from shared.http import browsers

_FRAME = Template((Path(__file__).parent / "admin.html").read_text())
_TITLE = "<header><h1>LiftLog</h1>"
_KIB = 1024
DONE = {
    "counted": "Counted what a cleanup would remove: it is the first of the runs below.",
    "cleaned": "Cleaned up: what was removed is the first of the runs below.",
    "deleted": "The account is gone, with everything of it.",
    "dump-wanted": "A backup of the database is being written. Reload the page to see it.",
}

Json = dict[str, Any]


def page(overview: Json, dumps: Dumps | None, said: str, status: int, *, has_session: bool) -> Response:
    """Return the page. `said` is the outcome of what was just done."""
    sections = (
        _accounts(overview), _storage(overview), _largest(overview), _planner(overview["planner"]),
        _cleanup(overview["cleanup_runs"]), _quotas(overview), _phones(overview["backups"]),
        _database(dumps), _deletion(), _versions(overview),
    )  # fmt: skip
    log_out = _form("log-out", "Log out") if has_session else ""
    head = f'{_TITLE}<a href="metrics/dashboard">How it is doing, over time</a>{log_out}</header>'
    return _framed(f"{head}{_said(said)}<main>{''.join(sections)}</main>", status)


def login(said: str = "", status: int = 200) -> Response:
    """Return the form that asks for the operators' token."""
    fields = (
        '<label for="token">The operators\' token: <code>OPERATOR_TOKEN</code>, or what <code>make serve</code> keeps'
        " in <code>.data/secrets/operator-token</code></label>"
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
    )
    form = _form("log-in", "Log in", fields)
    return _framed(f"{_TITLE}</header>{_said(said)}<main><section>{form}</section></main>", status)


def new_key(made: Json) -> Response:
    """Return what to type into the app. It is shown this once."""
    replaced = "<p>The key before is of no more use.</p>" if made["replaces"] else ""
    return _framed(
        f"{_TITLE}</header><main><section><h2>The key of {escape(made['user'])}</h2>{replaced}"
        "<p>Type this into the app: Settings, Export, Backup, and Restore, Automatic Remote Backup. The key is shown "
        "this once.</p><h3>Endpoint</h3><p><code>https://(your host)/backup?user="
        f"{escape(quote(made['user']))}</code></p><h3>Api Key</h3><p><code>{escape(made['key'])}</code></p>"
        '<p><a href="?">Back</a></p></section></main>',
        200,
    )


def broken(said: str, status: int) -> Response:
    """Return the page of a service whose figures cannot be had."""
    return _framed(f'{_TITLE}</header>{_said(said)}<p><a href="?">Try again</a></p>', status)


def _framed(body: str, status: int) -> Response:
    return browsers.page(_FRAME.substitute(body=body), status, has_forms=True)


def _said(text: str) -> str:
    return f'<p class="said" role="status">{escape(text)}</p>' if text else ""


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def _form(action: str, button: str, fields: str = "", *, is_grave: bool = False) -> str:
    kind = ' class="danger"' if is_grave else ""
    return f'<form method="post">{fields}<button name="do" value="{action}"{kind}>{button}</button></form>'


def _input(name: str, label: str, example: str) -> str:
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" placeholder="{example}" required'
        ' autocomplete="off" autocapitalize="none" spellcheck="false">'
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], empty: str) -> str:
    """Return a table of cells that are HTML, or the sentence for none."""
    lines = "".join(f"<tr><td>{'<td>'.join(cells)}" for cells in rows)
    if not lines:
        return f'<p class="faint">{empty}</p>'
    head = "".join(f"<th>{title}" for title in heads)
    return f"<table>{head and f'<tr>{head}'}{lines}</table>"


def _accounts(overview: Json) -> str:
    accounts, days = overview["accounts"], overview["created_per_day"]
    about = "about " if accounts["is_estimate"] else ""
    return _section(
        "Accounts",
        f'<div class="number">{about}{accounts["total"]:,} <small>in all</small></div>',
        f'<div class="number">{about}{accounts["active"]:,} <small>used in the last 30 days</small></div>',
        f"<h3>Created per day</h3>{_bars(days)}",
    )


def _bars(days: Mapping[str, int]) -> str:
    """Return a drawing of numbers by day; a screen reader reads their sum, a pointer each."""
    most = max(days.values(), default=0)
    if not most:
        return '<p class="faint">None in the last 30 days.</p>'
    bars = "".join(
        f'<rect x="{10 * place + 1}" y="{60 - height}" width="8" height="{height}">'
        f"<title>{day}: {number:,}</title></rect>"
        for place, (day, number) in enumerate(days.items())
        if (height := round(58 * number / most))
    )
    sentence = f"{sum(days.values()):,} in the last 30 days, {most:,} at most on one"
    box = f'viewBox="0 0 {10 * len(days)} 60" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="{sentence}">{bars}</svg><p class="faint">{sentence}.</p>'


def _storage(overview: Json) -> str:
    tables = overview["tables"]
    rows = (
        (escape(table["name"]), "–" if table["rows"] is None else f"{table['rows']:,}", _bytes(table["bytes"]))
        for table in tables
    )
    total = _bytes(sum(table["bytes"] for table in tables))
    return _section(
        "Storage",
        f'<div class="number">{total} <small>in the database</small></div>',
        _table(("table", "rows, about", "size"), rows, "There are no tables: run <code>make migrate</code>."),
    )


def _largest(overview: Json) -> str:
    if "largest" not in overview:
        link = '<p><a href="?largest">Look for them</a>, which takes a second or two.</p>'
        return _section("Who stores most", link)
    rows = (
        (f"<code>{escape(each['user_id'])}</code>", f"{each['items']:,}", _bytes(each["bytes"]))
        for each in overview["largest"]
    )
    return _section("Who stores most", _table(("account", "items", "size"), rows, "Nobody stores anything yet."))


def _planner(planner: Json) -> str:
    asked = f"{escape(planner['model'])} at {escape(str(planner['endpoint']))}. Circuit: {escape(planner['circuit'])}"
    groups = (("turns", "turns"), ("calls", "questions to the model"), ("tokens", "tokens"))
    rows = (
        (
            f"{escape(key.replace('_', ' '))} <span class=faint>{what}</span>",
            f"{counted['today']:,}",
            f"{counted['days']:,}",
        )
        for group, what in groups
        for key, counted in planner[group].items()
    )
    return _section(
        "The planner",
        f"<p>Set to ask {asked}.</p>",
        _table(("", "today", "30 days"), rows, "Nobody has talked with it yet."),
    )


def _cleanup(runs: list[Json]) -> str:
    rows = (
        (f"{_moment(run['finished'])}<br><span class=faint>{_outcome(run)}</span>", f"{run['seconds']:.1f} s")
        for run in runs
    )
    table = _table(
        ("finished (UTC), and what it removed", "took"), rows, "It has not run yet; it does so once an hour."
    )
    first = _form("count-expired", "Count what would be removed")
    then = _form("clean-up", "Remove it") if runs and runs[0]["dry_run"] and any(runs[0]["deleted"].values()) else ""
    return _section("Cleanup", table, first, then)


def _outcome(run: Json) -> str:
    removed = ", ".join(f"{n:,} {escape(name.replace('_', ' '))}" for name, n in run["deleted"].items() if n)
    rest = " – more is left" if run["remaining"] and not run["dry_run"] else ""
    return f"{'would remove ' if run['dry_run'] else ''}{removed or 'nothing'}{rest}"


def _quotas(overview: Json) -> str:
    quotas = dict(overview["quotas"])
    if overview["planner_refusals"]["days"]:
        quotas["the planner's of a day"] = overview["planner_refusals"]
    rows = (
        (f"<code>{escape(name)}</code>", f"{counted['today']:,}", f"{counted['days']:,}")
        for name, counted in quotas.items()
    )
    return _section("Quotas that were hit", _table(("quota", "today", "30 days"), rows, "None in the last 30 days."))


def _phones(names: list[Json]) -> str:
    rows = (
        (escape(kept["name"]), f"{kept['count']:,}", _bytes(kept["bytes"]), _moment(kept["newest_at"]))
        for kept in names
    )
    return _section(
        "Backups of phones",
        _table(("name", "backups", "size", "newest (UTC)"), rows, "No name has a key yet."),
        _form(
            "make-key",
            "Make a key",
            _input("user", "A new key for the name (one it has is of no more use then)", "ann"),
        ),
    )


def _database(dumps: Dumps | None) -> str:
    if dumps is None:
        return _section(
            "Backups of the database",
            "<p>This server cannot write any itself. Where it runs in the cloud, Cloud SQL makes one a day, and "
            "<code>scripts/backup.sh</code> another; elsewhere <code>make backup</code> does.</p>",
        )
    rows = ((f"<code>{escape(dump.name)}</code>", _bytes(dump.byte_count)) for dump in dumps.newest)
    fault = f'<p class="said">The last one was not written: {escape(dumps.fault)}</p>' if dumps.fault else ""
    return _section(
        "Backups of the database",
        _table(("file", "size"), rows, "There are none yet."),
        f"<p class=faint>In <code>{escape(str(dumps.folder))}</code>.</p>",
        fault,
        "<p>One is being written.</p>" if dumps.is_under_way else _form("dump", "Back up the database"),
    )


def _deletion() -> str:
    fields = _input("account", "Its id or lookup", "id or lookup") + _input("again", "Once more", "the same again")
    return _section(
        "Delete an account",
        "<p>Its feed, messages, shared workouts and follow secrets go with it, for good. Its app starts anew.</p>",
        _form("delete-account", "Delete the account", fields, is_grave=True),
    )


def _versions(overview: Json) -> str:
    facts = {
        "environment": overview["environment"], "revision": overview["revision"] or "–", "schema": overview["schema"],
        "PostgreSQL": overview["postgresql"],
    }  # fmt: skip
    return _section("Versions", _table((), ((name, escape(value)) for name, value in facts.items()), ""))


def _moment(text: str | None) -> str:
    """Return an instant of the wire as people read it."""
    return escape(text.replace("T", " ").removesuffix("Z")) if text else "–"


def _bytes(number: int) -> str:
    """Return a number of bytes in the unit in which it has up to four digits."""
    size = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 10_000:
            return f"{size:,.0f} {unit}"
        size /= _KIB
    return f"{size:,.0f} TiB"
