"""Which links of a plan the user gave."""

import time

import pytest

from functions.ai_chat import links

GIVEN = "https://Example.com/Bench/?t=90#start"


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (GIVEN, GIVEN),
        (f"My bench: {GIVEN}.", GIVEN),
        ("http://example.com/bench", "https://EXAMPLE.com/bench/"),
        ("https://example.com:443/", "https://example.com"),
        ("example.com/bench, please", "https://example.com/bench"),
        ("www.example.com", "https://www.example.com/"),
        ("[bench](https://example.com/bench)", "https://example.com/bench"),
        ("(see https://example.com/Bench_(press))", "https://example.com/Bench_(press)"),
        ("<https://example.com/bench>", "https://example.com/bench"),
        ('{"link":"https://example.com/bench"}', "https://example.com/bench"),
        ("链接https://example.com/bench。", "https://example.com/bench"),
        ("https://bücher.example/", "https://bücher.example"),
        ("obsidian://open?file=bench", "obsidian://open?file=bench"),
    ],
)
def test_a_link_stays_the_users_own_when_it_is_normalised(text, link):
    assert links.is_in(link, text)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://example.com",
        "https://example.com/Ben",
        "https://example.com/bench/?t=90#start",
        "https://example.com/Bench/?t=9",
        "https://example.com/Bench/press?t=90#start",
        "https://example.com:8443/Bench/?t=90#start",
        "https://example.com@elsewhere.example/Bench/?t=90#start",
        "https://me@example.com/Bench/?t=90#start",
        "https://ample.com/Bench/?t=90#start",
        "https://example.co",
        "ftp://example.com/Bench/?t=90#start",
        "https://[example.com/Bench",
        "https://example.com:x/",
        f"{GIVEN} https://elsewhere.example",
        "javascript:alert(1)",
        "h",
    ],
)
def test_a_part_of_the_users_link_is_another_link(link):
    assert not links.is_in(link, f"My bench: {GIVEN}, it says javascript:alert(1)")


@pytest.mark.parametrize("text", ["a" * 400_000, "a." * 200_000, "a-" * 200_000, "https://" * 50_000, ")" * 400_000])
def test_the_longest_text_is_read_once(text):
    before = time.thread_time()
    assert not links.is_in(GIVEN, text)
    assert not links.is_in(GIVEN, f"https://x.y/{text}")
    assert time.thread_time() - before < 1
