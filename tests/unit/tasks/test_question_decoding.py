"""Spans, thresholds, windows and the answers without a model, against brute force and stock tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.tasks.question_baseline import nearest_words, usual_length
from core.data.tasks.question_decoding import best_spans, choose_threshold, log_shares, says_nothing
from core.data.tasks.question_windows import answer_pieces, cut_contexts, cut_questions, frame_of_pair, windows_of
from core.errors import ConfigError, ModelError
from tests.tiny import WORDS

NUMBERS = st.lists(st.integers(-9, 9), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(NUMBERS, st.integers(1, 14), st.integers(1, 9), st.randoms())
def test_best_spans_are_those_of_brute_force(starts: list[int], longest: int, count: int, random: Any) -> None:
    ends = [random.randint(-9, 9) for _ in starts]
    every = [
        (float(starts[i] + ends[j]), i, j)
        for i in range(len(starts)) for j in range(i, min(len(starts), i + longest))
    ]  # fmt: skip
    found = best_spans(np.array(starts, dtype=np.float32), np.array(ends, dtype=np.float32), longest, count)
    assert found == sorted(every, key=lambda one: (-one[0], one[1], one[2]))[:count]


def test_a_window_without_context_has_no_span() -> None:
    assert best_spans(np.zeros(0), np.zeros(0), 5, 3) == []


def test_shares_add_up() -> None:
    shares = np.exp(log_shares(np.array([[1000.0, -3.0], [1001.0, 5.0], [-1e30, 0.0]])))
    assert shares.sum(axis=0) == pytest.approx([1.0, 1.0])
    assert shares[1, 0] == pytest.approx(1 / (1 + np.exp(-1)))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0])),
                min_size=1, max_size=8))  # fmt: skip
def test_no_threshold_is_better_than_the_chosen_one(rows: list[tuple[int, float, float]]) -> None:
    differences, answered, silent = (np.array(values, dtype=np.float64) for values in zip(*rows, strict=True))

    def mean(threshold: float) -> float:
        return float(np.where(says_nothing(differences, np.zeros(len(rows)), threshold), silent, answered).mean())

    chosen = choose_threshold(differences, answered, silent)
    every = [mean(one) for one in (*np.arange(-6, 6.5, 0.5), 0.0)]
    assert mean(chosen) == pytest.approx(max(every))
    if mean(0.0) == pytest.approx(max(every)):
        assert chosen == 0.0


def test_without_questions_the_threshold_is_the_usual_one() -> None:
    assert choose_threshold(np.zeros(0), np.zeros(0), np.zeros(0)) == 0.0
    assert says_nothing(np.array([1.0, -1.0]), np.zeros(2), None).tolist() == [True, False]


# -- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "deberta-v2", "modernbert"])
def test_pieces_are_those_of_the_stock_tokenizer(tokenizer: Callable[[str], Any], family: str) -> None:
    one = tokenizer(family)
    question, context = "who lives in paris?", "Anna lives in Paris. Paul Philadelphia went to London, and ran."
    backend = one.backend_tokenizer
    frame = frame_of_pair(backend, one.cls_token_id)
    cut = cut_contexts(backend, [context], {})[context]
    (pieces,) = cut_questions(backend, [question])
    ids, types, empty, start = frame.joined(pieces, cut.ids)
    stock = one(question, context, return_offsets_mapping=True)
    assert ids == stock["input_ids"]
    if "token_type_ids" in one.model_input_names:
        assert types == stock["token_type_ids"]
    assert ids[empty] == one.cls_token_id
    behind = len(ids) - len(frame.behind)
    assert list(zip(cut.starts, cut.ends, strict=True)) == stock["offset_mapping"][start:behind]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS[:50]), min_size=1, max_size=70), st.integers(20, 60), st.integers(0, 7))
def test_windows_are_those_of_the_tokenizers_overflow(
    tokenizer: Callable[[str], Any], words: list[str], max_length: int, stride: int
) -> None:
    one = tokenizer("bert")
    backend, context, question = one.backend_tokenizer, " ".join(words), "who is it"
    frame = frame_of_pair(backend, one.cls_token_id)
    cut = cut_contexts(backend, [context], {})[context]
    found = [
        frame.joined(asked, cut.ids[start:end])[0]
        for asked, start, end in windows_of(frame, cut_questions(backend, [question])[0], cut, max_length, stride, 64)
    ]
    stock = one(
        question, context, truncation="only_second", max_length=max_length, stride=stride,
        return_overflowing_tokens=True,
    )["input_ids"]  # fmt: skip
    assert found[:-1] == stock[:-1]
    assert len(found) == len(stock)
    # The last window is full: moved to the left, it ends where the stock one ends.
    assert found[-1][len(found[-1]) - len(stock[-1]) + 10 :] == stock[-1][10:]
    covered = {at for _, start, end in windows_of(frame, [5], cut, max_length, stride, 64) for at in range(start, end)}
    assert covered == set(range(len(cut.ids)))


def test_a_long_question_is_cut_and_a_window_without_room_refused(tokenizer: Callable[[str], Any]) -> None:
    one = tokenizer("bert")
    backend = one.backend_tokenizer
    frame = frame_of_pair(backend)
    cut = cut_contexts(backend, ["the cat ran"], {})["the cat ran"]
    assert next(windows_of(frame, list(range(90)), cut, 40, 0, 10))[0] == list(range(10))
    assert next(windows_of(frame, list(range(90)), cut, 23, 0, 64))[0] == list(range(10))  # half of the window
    with pytest.raises(ConfigError, match="no room for a question"):
        list(windows_of(frame, list(range(90)), cut, 4, 0, 64))


def test_a_tokenizer_without_special_pieces_is_refused() -> None:
    from tokenizers import Tokenizer, models

    with pytest.raises(ModelError, match="no special piece"):
        frame_of_pair(Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="b")))


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_the_pieces_of_an_answer_hold_its_characters(tokenizer: Callable[[str], Any], family: str) -> None:
    context = "Anna Philadelphia-Müller lives in Paris; 我爱北京."
    backend = tokenizer(family).backend_tokenizer
    cut = cut_contexts(backend, [context], {})[context]
    for answer in ("Anna", "Philadelphia-Müller", "phia", "Paris", "北京", "lives in Paris", "."):
        start = context.index(answer) if answer in context else context.lower().index(answer.lower())
        place = answer_pieces(cut, start, start + len(answer))
        assert place is not None
        begin, end = int(cut.starts[place[0]]), int(cut.ends[place[1]])
        assert begin <= start < start + len(answer) <= end
        assert place[0] == place[1] or int(cut.ends[place[0]]) > start  # no piece more than needed
    assert answer_pieces(cut, len(context), len(context) + 3) is None


def test_contexts_are_cut_once(tokenizer: Callable[[str], Any]) -> None:
    known: dict[str, Any] = {}
    backend = tokenizer("bert").backend_tokenizer
    first = cut_contexts(backend, ["the cat", "a dog", "the cat"], known)
    again = cut_contexts(backend, ["a dog", "the film"], known)
    assert list(first) == ["the cat", "a dog"]
    assert again["a dog"] is first["a dog"]
    assert set(known) == {"the cat", "a dog", "the film"}


# -- answers without a model -----------------------------------------------------------------------------------------


def test_the_nearest_words_are_found() -> None:
    context = "Anna Berg lives in Paris with a cat. Paul ran to Berlin."
    assert nearest_words("Where does Anna Berg live? She lives in", context, 1) == "Paris"
    assert nearest_words("who", context, 2) == "Anna Berg"
    assert nearest_words("who", "too few", 3) == ""
    assert nearest_words("", "", 1) == ""
    assert usual_length(["New York", "Oslo", "Rome", "the old city"]) == 1
    assert usual_length([]) == 1
