"""Numbers, times and sizes as people read them; other people's words stay words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.ui import format as shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.9134, "0.913"),
        (2e-5, "2e-5"),
        (1.5e-4, "1.5e-4"),
        (1234.5, "1,234"),
        (3.2e9, "3.2e9"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert shown.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.85, "850 ms"),
        (0, "0 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (252, "4 min 12 s"),
        (11100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
        (None, "–"),
        (-1, "–"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert shown.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(812, "812 B"), (4.2e6, "4.2 MB"), (1.3e9, "1.3 GB"), (999_600, "1.0 MB"), (None, "–")]
)
def test_bytes(size: float | None, text: str) -> None:
    assert shown.bytes_text(size) == text


@pytest.mark.parametrize(
    ("ago", "text"), [(3, "just now"), (300, "5 min ago"), (7300, "2 h ago"), (100_000, "yesterday")]
)
def test_relative(ago: float, text: str) -> None:
    assert shown.relative(1_800_000_000 - ago, now=1_800_000_000) == text


def test_metrics_have_units() -> None:
    assert shown.metric_value("gate/accuracy", 0.788) == "78.8 %"
    assert shown.metric_value("mcc", 0.563) == "0.563"
    assert shown.metric_name("gate/macro_f1") == "Gate macro F1"
    assert shown.interval("accuracy", [0.7, 0.8]) == "70.0–80.0 %"
    assert shown.interval("accuracy", None) == ""
    assert shown.interval("accuracy", [0.7, math.nan]) == ""


def test_markup_is_escaped() -> None:
    text = shown.plain("**b** <script>x</script> [l](http://x) :red[x] $a$ `c` www.x.org")
    for active in ("**", "<script", "](", "$a", "`c"):
        assert active not in text.replace("\\" + active[0], "")


def test_icons_and_emoji_codes_are_not_read_as_such() -> None:
    assert ":material/" not in shown.plain(":material/home:")
    assert ":smile:" not in shown.plain(":smile:").replace("\\", "")


@given(st.text(max_size=80))
def test_every_mark_that_could_start_markup_is_behind_a_backslash(text: str) -> None:
    result = shown.plain(text)
    position = 0
    while position < len(result):
        if result[position] == "\\":
            position += 2
            continue
        assert result[position] not in "`*_{}[]()#+-.!|<>~$&:@^=\"'/"
        position += 1


def test_long_words_are_cut() -> None:
    assert shown.plain("a" * 50, 10) == "a" * 9 + "…"
