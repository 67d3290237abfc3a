from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.tasks.words import spans, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna lives in Paris.", ["Anna", "lives", "in", "Paris", "."]),
        ("don't, don’t e-mail AT&T", ["don't", ",", "don’t", "e-mail", "AT&T"]),
        ("3.5 of 1,000.50 at 10:30", ["3.5", "of", "1,000.50", "at", "10", ":", "30"]),
        ("@anna #fun https://t.co/x?a=1", ["@anna", "#fun", "https://t.co/x?a=1"]),
        ("我在北京 OK", ["我", "在", "北", "京", "OK"]),
        ("ひらカナ", ["ひ", "ら", "カ", "ナ"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Grüße, Ελλάδα, Москва", ["Grüße", ",", "Ελλάδα", ",", "Москва"]),
        ("cafe\u0301 (so-called) — fine…", ["cafe\u0301", "(", "so-called", ")", "—", "fine", "…"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_texts_are_split_by_the_rule(text: str, words: list[str]) -> None:
    assert [word for word, _, _ in split_words(text)] == words


@given(st.text(max_size=60))
def test_no_character_but_white_space_is_lost(text: str) -> None:
    found = split_words(text)
    assert "".join("".join(word.split()) for word, _, _ in found) == "".join(text.split())
    assert all(text[start:end] == word for word, start, end in found)
    assert all(before[2] <= after[1] for before, after in itertools.pairwise(found))


def test_a_long_text_is_split_in_linear_time() -> None:
    for text in ("a" * 300_000, "1,1" * 100_000, "a-" * 150_000, "--" * 150_000):
        started = time.process_time()
        split_words(text)
        assert time.process_time() - started < 3


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=14))
def test_spans_are_those_of_seqeval_strict(tags: list[str]) -> None:
    from seqeval.scheme import IOB2, Entities

    wanted = [(entity.tag, entity.start, entity.end - 1) for entity in Entities([tags], IOB2).entities[0]]
    assert spans(tags) == wanted
