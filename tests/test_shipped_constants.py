"""What is promised in figures is what is shipped: tests that need other clocks and sizes never see the shipped ones."""

import importlib
import re
from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import pytest

from client.hub_client import PING_SECONDS, SILENCE_SECONDS
from functions.ai_chat.methods import chat
from shared.data import chats
from shared.signalr import switchboard

ROOT = Path(__file__).parent.parent
KIB, MIB = 1024, 1024 * 1024

# module, what in it, its value, the document that promises it, and the words in which it does
SHIPPED = [
    ("functions.ai_chat.methods", "chat.timing.ping", 15, "chat", "The server pings 15 s after its last message"),
    ("functions.ai_chat.methods", "chat_v2.timing.ping", 15, "chat", "The server pings 15 s after its last message"),
    ("functions.ai_chat.methods", "chat.timing.client", 120, "chat", "gives a client up after 120 s without one"),
    ("functions.ai_chat.methods", "chat.timing.handshake", 60, "chat", "60 s without a handshake"),
    ("functions.ai_chat.methods", "chat.timing.send", 20, "chat", "or 20 s in which it takes nothing in"),
    ("functions.ai_chat.methods", "chat.timing.held", 4, "chat", "5 s at most after it ended: 4"),
    ("functions.ai_chat.methods", "chat_v2.timing.held", 4, "chat", "5 s at most after it ended: 4"),
    ("functions.ai_chat.methods", "chat.timing.poll", 30, "chat", "A poll waits 30 s"),
    ("functions.ai_chat.turns", "SEND_SECONDS", 0.1, "planner", "A send is due at most ten times a second"),
    ("functions.ai_chat.turns", "PLAN_GROWTH", 1.02, "planner", "only if the plan is 2 % longer than at the last one"),
    ("functions.ai_chat.histories", "MAX_MESSAGES", 20, "planner", "at most 20 messages"),
    ("functions.ai_chat.histories", "BYTES_PER_TOKEN", 3, "planner", "a third of its bytes in UTF-8"),
    ("functions.backup.gzip_files", "MOST_EXPANSION", 16, "backups", "more than 16 times the largest backup"),
    ("functions.cleanup.phone_backups", "ORPHAN_AGE", timedelta(days=1), "backups", "older than a day"),
    ("shared.backup_keys", "NAME_CHARACTERS", 64, "backups", "1 to 64 of letters, digits and `._-`"),
    ("shared.backup_keys", "KEY_BYTES", 32, "adr/0011-backups-of-phones", "Keys are 256 random bits"),
    ("shared.operator_sessions", "SECONDS", 12 * 3600, "operations", "a session for twelve hours"),
    ("shared.wrong_tries", "MOST_OF_ADDRESS", 20, "operations", "After 20 wrong tokens in a row from one address"),
    ("shared.wrong_tries", "MOST_OF_NOBODY", 200, "operations", "after 200 from all of those"),
    ("shared.wrong_tries", "PAUSE_SECONDS", 60, "operations", "the next one of it has to wait for a minute (429)"),
    (
        "functions.admin.overview",
        "MOST_PAGES",
        2000,
        "adr/0019-figures-from-a-sample",
        "2000 pages (16 MiB) of a table",
    ),
    ("functions.cleanup.sweep", "BATCH_ROWS", 500, "operations", "It works in batches of 500 rows"),
    ("functions.cleanup.sweep", "PAUSE_SHARE", 2, "operations", "with pauses twice as long as each took"),
    (
        "functions.cleanup.sweep",
        "METRICS_TO_HOURS",
        timedelta(days=1),
        "operations",
        "After a day minutes become hours",
    ),
    ("functions.cleanup.sweep", "METRICS_KEPT", timedelta(days=90), "operations", "after 90 days one row"),
    ("shared.ai.breaker", "FAILURES_TO_OPEN", 5, "planner", "five failures in a row"),
    ("shared.ai.breaker", "PAUSE_SECONDS", 30, "planner", "not asked for 30 s, then one question probes"),
    ("shared.ai.streams", "WHOLE_ANSWER_SECONDS", 300, "planner", "5 minutes in all"),
    ("shared.ai.streams", "SILENCES_IN_ANSWER", 3, "planner", "three times `OPENAI_TIMEOUT_SECONDS`"),
    ("shared.ai.repairs", "MOST_REPEATED_CHARACTERS", 20_000, "planner", "up to 20 000 characters of it"),
    ("shared.ai.dialects", "MAX_OUTPUT_TOKENS", 16_000, "planner", "cut at 16 000 tokens"),
    ("shared.ai.endpoint", "RETRY_COUNT", 2, "planner", "A request is repeated up to twice"),
    ("shared.ai.endpoint", "LONGEST_RETRY_SECONDS", 5, "planner", "without asking for more than 5 s of patience"),
    ("shared.data.chats", "STALE_SECONDS", 3600, "operations", "chats nobody has polled for an hour"),
    ("shared.data.chats", "PLAYER_SILENCE_SECONDS", 30, "chat", "the chat is closed by the next poll after 30 s"),
    ("shared.data.cleanup_runs", "KEPT", 1000, "operations", "`cleanup_runs` keeps the last thousand"),
    ("shared.data.connections", "LOCK_TIMEOUT_SECONDS", 5, "operations", "a row is locked for more than 5 s"),
    ("shared.data.connections", "STATEMENT_TIMEOUT_SECONDS", 15, "operations", "a statement takes more than 15 s"),
    ("shared.data.events", "ENTRY_EVENTS", 256, "api", "Per user at most 256 events"),
    ("shared.data.events", "ENTRY_BYTES", 2 * MIB, "api", "at most 256 events or 2 MiB"),
    ("shared.data.events", "ANSWER_BYTES", 24 * MIB, "api", "24 MiB in all, shared evenly"),
    ("shared.data.inboxes", "MAX_WAITING", 1000, "api", "429 when about 1000 messages wait"),
    ("shared.data.inboxes", "TAKEN_BYTES", 20 * MIB, "api", "and removes them; at most 20 MiB"),
    ("shared.data.users", "PICTURES_BYTES", 8 * MIB, "api", "null once those of the batch pass 8 MiB"),
    ("shared.data.users", "PLANS_BYTES", 10 * MIB, "api", "plans once they pass 10 MiB"),
    ("shared.worker.incoming", "MOST_BODY_BYTES", 4 * MIB, "api", "at most 4 MiB"),
    ("shared.worker.incoming", "MOST_DRAINED_BYTES", 32 * MIB, "api", "up to 32 MiB"),
    ("shared.worker.workers", "MOST_CONNECTIONS", 4096, "adr/0007-a-loop-before-the-threads", "4096 connections"),
    ("shared.http.responses", "COMPRESS_FROM_BYTES", KIB, "api", "answers above 1 KB are gzipped when asked for"),
    ("shared.ending", "LONGEST_SECONDS", 7, "operations", "ends within 8 s"),
    ("shared.signalr.hubs", "MAX_WAITING", 8, "chat", "at most eight wait"),
    ("shared.signalr.places", "RESERVED", 8, "chat", "Polls of chats that are open have eight places of their own"),
    ("shared.signalr.protocol", "MAX_MESSAGE_BYTES", 256 * KIB, "chat", "is larger than 256 KiB"),
    ("shared.signalr.switchboard", "LOOK_SECONDS", 1, "chat", "looks at its chats once a second"),
    ("shared.signalr.tickets", "OPENS_FOR_SECONDS", 120, "chat", "the two minutes in which it opens a connection"),
    ("shared.settings.planner", "THREADS_BESIDE_CHATS", 16, "chat", "`THREADS` must be 16 more than that"),
    ("shared.subscriptions.subscribers", "WEB_DAILY_REQUESTS", 100, "api", "have 100 requests in any 24 hours"),
    ("shared.subscriptions.subscribers", "DAILY_REQUESTS", 20, "api", "have 100 requests in any 24 hours, others 20"),
    ("shared.subscriptions.memory", "PAID_SECONDS", 300, "subscriptions", "A yes is remembered for five minutes"),
    ("shared.subscriptions.memory", "NOT_PAID_SECONDS", 10, "subscriptions", "no is remembered for ten seconds"),
    ("shared.subscriptions.memory", "TRUSTED_SECONDS", 30, "subscriptions", "The store is asked again after 30 s"),
    ("shared.subscriptions.memory", "MOST_SUBSCRIBERS", 10_000, "subscriptions", "at most 10,000 subscribers"),
    ("shared.subscriptions.asking", "ANSWER_TIMEOUT_SECONDS", 8, "subscriptions", "A store has 8 s to answer"),
    ("shared.subscriptions.asking", "REPEAT_SECONDS", 0.3, "subscriptions", "`Retry-After` say, or 0.3 s"),
    ("migrations", "LOCK_TIMEOUT_SECONDS", 5, "database", "a table lock is waited for 5 s at most"),
    ("local.server", "CLEANUP_SECONDS", 3600, "operations", "`make serve` calls it hourly itself"),
    ("scripts.deployments", "FIRST_PERCENT", 10, "deployment", "**10 %** of the traffic"),
]


@pytest.mark.parametrize(
    ("module", "name", "value", "document", "words"), SHIPPED, ids=[f"{row[0]}.{row[1]}" for row in SHIPPED]
)
def test_it_is_what_is_promised(module, name, value, document, words):
    assert attrgetter(name)(importlib.import_module(module)) == value
    assert words in re.sub(r"\s+", " ", (ROOT / "docs" / f"{document}.md").read_text())


def test_signs_of_life_come_several_times_before_they_are_missed():
    assert 3 * switchboard.SIGN_OF_LIFE_SECONDS <= chats.PLAYER_SILENCE_SECONDS
    assert chat.timing.client >= 3 * PING_SECONDS
    assert 3 * chat.timing.ping <= SILENCE_SECONDS
