from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.graph.suggest import completions, nearest_spellings, normalised, resolve, shown
from core.graph.types import WordGraph
from tests.unit.graph.path_graphs import word_graph


def named(*words: str, counts: list[int] | None = None) -> WordGraph:
    graph = word_graph(len(words), [])
    graph.words = list(words)
    if counts is not None:
        graph.counts = counts  # type: ignore[assignment]
    return graph


def test_a_word_is_found_whatever_its_case_spaces_and_composition() -> None:
    graph = named("cat", "café", "New York")
    assert normalised(graph, "  Cat \n") == 0
    assert normalised(graph, "CAFE\u0301") == 1
    assert normalised(graph, "new   york") == 2
    assert normalised(graph, "dog") is None


def test_of_words_that_differ_in_case_the_one_that_is_typed_is_meant_then_the_most_frequent() -> None:
    graph = named("us", "US", "Us", counts=[3, 9, 1])
    assert normalised(graph, "Us") == 2
    assert normalised(graph, "uS") == 1


def test_the_nearest_spellings_come_first_and_of_equal_ones_the_most_frequent() -> None:
    graph = named("teh-tarik", "then", "the", "tea", "zebra", counts=[1, 5, 100, 7, 50])
    assert nearest_spellings(graph, "teh") == ["the", "tea"]
    assert "zebra" not in nearest_spellings(graph, "teh")


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=30, unique=True),
    typed=st.text("abc", min_size=1, max_size=6),
)
def test_a_word_of_one_wrong_letter_is_always_offered(words, typed) -> None:
    graph = named(*words)
    near = nearest_spellings(graph, typed, limit=100)
    for word in words:
        if len(word) == len(typed) and sum(one != other for one, other in zip(word, typed, strict=True)) <= 1:
            assert word in near or not set(word) & set(typed)


def test_a_word_that_is_not_there_is_refused_with_suggestions() -> None:
    graph = named("cat", "dog")
    with pytest.raises(DataError) as caught:
        resolve(graph, "catt", "from")
    assert caught.value.where == "from"
    assert "Did you mean: cat?" in caught.value.message()


@pytest.mark.parametrize(
    "hostile",
    [
        "x" * 5000,
        "<script>alert(1)</script>" * 200,
        "a\x00b\x1b[31m\u202ecd",
        "😀" * 300,
        "שלום" * 2000,
        "\ud800",
    ],
)
def test_hostile_words_give_a_short_message_without_control_characters(hostile) -> None:
    with pytest.raises(DataError) as caught:
        resolve(named("cat", "dog"), hostile, "to")
    message = caught.value.message()
    assert len(message) < 300
    assert not any(ord(letter) < 32 or letter in "\u202e\ud800" for letter in message)


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_nothing_typed_is_said_to_be_nothing(empty) -> None:
    with pytest.raises(DataError, match="No word was given"):
        resolve(named("cat"), empty)


def test_hostile_words_that_are_in_the_graph_are_found_as_they_stand() -> None:
    words = ["<b>bold</b>", "😀", "שלום", "!!!", "y" * 5000]
    graph = named(*words)
    assert [resolve(graph, word) for word in words] == [0, 1, 2, 3, 4]


def test_completions_begin_with_what_was_typed_the_most_frequent_first_then_hold_it() -> None:
    graph = named("cat", "catch", "Catalan", "concat", "dog", counts=[5, 9, 7, 100, 1])
    assert completions(graph, "cat") == ["catch", "Catalan", "cat", "concat"]
    assert completions(graph, "CAT", limit=2) == ["catch", "Catalan"]
    assert completions(graph, "c", limit=10) == ["concat", "catch", "Catalan", "cat"]
    assert completions(graph, " ") == completions(graph, "z" * 5000) == []


def test_a_shown_word_is_cut() -> None:
    assert shown("x" * 50) == "x" * 39 + "…"
    assert shown("<b>") == "<b>"
