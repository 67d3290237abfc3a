"""Distillation in the planner: sides, layer maps, sizes and what does not fit together, without a page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core.config import TaskConfig
from core.config.distillation import StateLoss
from core.training.distil.pairs import layer_pairs
from pages.ui.planner_distil import cache_words
from pages.ui.planner_distil_facts import (
    Side,
    answer_bytes,
    layer_map,
    pairs_problem,
    pieces_problem,
    size_words,
    state_problems,
    student_side,
    teacher_problem,
    teacher_side,
)
from pages.ui.planner_distil_losses import with_pair
from pages.ui.planner_distil_pairs import Found, pairs_words
from pages.ui.planner_distil_teachers import teacher_title, teacher_words, weak_words
from pages.ui.planner_distil_towers import answer_words, links_of
from pages.ui.planner_slider import range_of
from pages.ui.planner_student import half_of, kept_strip

ABOUT: dict[str, Any] = {
    "title": "one", "family": "bert", "layers": 6, "hidden_size": 384, "heads": 12, "parameters": 1000,
    "layer_parameters": [100, 100, 100, 100, 100, 150], "vocabulary": "v",
}  # fmt: skip
TEACHER = Side("teacher", 6, 384, 12, 1000, "v", (1, 2, 3, 4, 5, 6))


def loss(**values: Any) -> dict[str, Any]:
    return StateLoss.model_validate(values).model_dump(mode="json")


@pytest.mark.parametrize(
    ("kept", "layers", "parameters", "origins"),
    [
        (None, 6, 1000, (1, 2, 3, 4, 5, 6)),
        (3, 3, 700, (2, 4, 6)),
        ([1, 6], 2, 600, (1, 6)),
        ([], 6, 1000, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_student_is_counted_without_the_layers_that_go(
    kept: Any, layers: int, parameters: int, origins: tuple[int, ...]
) -> None:
    side = student_side(ABOUT, kept)
    assert side is not None
    assert (side.layers, side.parameters, side.origins) == (layers, parameters, origins)


def test_nothing_is_said_of_what_nobody_knows() -> None:
    assert student_side(ABOUT, 9) is None
    assert teacher_side({**ABOUT, "layers": None}) is None
    shaped = teacher_side({**ABOUT, "family": "shaped_bert"})
    assert shaped is not None
    assert (shaped.width, shaped.heads) == (None, None)
    unnamed = student_side({**ABOUT, "layer_parameters": []}, 3)
    assert unnamed is not None
    assert unnamed.parameters is None


@pytest.mark.parametrize("way", ["uniform", "skip", "last"])
@pytest.mark.parametrize(("student", "teacher"), [(3, 6), (2, 12), (5, 12), (4, 4), (6, 2)])
def test_a_map_is_the_one_that_the_run_takes(way: str, student: int, teacher: int) -> None:
    assert layer_map(way, student, teacher) == layer_pairs(way, student, teacher)


def test_likeness_is_found_later_and_pairs_stay_as_they_are() -> None:
    assert layer_map("cka", 3, 6) is None
    assert pairs_problem("cka", 3, 6) is None
    assert layer_map([[1, 9], [7, 2]], 3, 6) == [(1, 9), (7, 2)]
    assert pairs_problem([[1, 9]], 3, 6) == "the teacher has 6 layers: there is no layer 9"
    assert pairs_problem([[4, 1]], 3, 6) == "the student has 3 layers: there is no layer 4"
    assert "nothing is compared" in str(pairs_problem("skip", 1, 6))


@pytest.mark.parametrize(
    ("one", "student", "expected"),
    [
        (loss(kind="hidden"), Side("s", 3, 128, 4, 10), {}),
        (loss(kind="hidden", map="none"), Side("s", 3, 128, 4, 10), {"0.map": "128 wide, the teacher 384"}),
        (loss(kind="hidden", map="none"), Side("s", 3, None, 4, 10), {}),
        (loss(kind="embedding", map="none"), Side("s", 3, 384, 4, 10), {}),
        (loss(kind="attention"), Side("s", 3, 384, 6, 10), {"0.kind": "6 heads a layer, the teacher 12"}),
        (loss(kind="attention"), Side("s", 3, 384, 12, 10), {}),
        (loss(kind="relation"), Side("s", 3, 128, 4, 10), {}),
        (loss(kind="relation", heads=48), Side("s", 3, 128, 4, 10), {"0.heads": "do not divide the student's"}),
        (loss(kind="relation", heads=5), Side("s", 3, 128, 4, 10), {"0.heads": "128 and the teacher's width of 384"}),
        (loss(kind="hidden", layers=[[3, 7]]), Side("s", 3, 384, 12, 10), {"0.layers": "no layer 7"}),
    ],
)
def test_losses_that_cannot_be_computed_are_named(one: dict[str, Any], student: Side, expected: dict[str, str]) -> None:
    found = state_problems([one], student, TEACHER)
    assert set(found) == set(expected)
    assert all(expected[name] in found[name] for name in found)


def test_a_student_as_large_as_its_teacher_is_warned_of() -> None:
    assert size_words(TEACHER, TEACHER)[1]
    assert size_words(Side("s", 6, 384, 12, 2_000_000), TEACHER) == (
        "The student has 2.0 M parameters, more than its teacher with 0.0 M: nothing becomes smaller.", True,
    )  # fmt: skip
    words, larger = size_words(Side("s", 3, 384, 12, 400), TEACHER)
    assert ("40%" in words, larger) == (True, False)
    assert size_words(Side("s", 3, None, None, None), TEACHER) == ("3 layers of the student, 6 of the teacher.", False)


def test_answers_take_two_bytes_a_class() -> None:
    assert answer_bytes({"answers": {"units": 2000, "classes": 3}}) == (2000, 3, 12_000)
    assert answer_bytes({"steps": 3}) is None
    size = (2000, 3, 12_000)
    words, bad = cache_words({"cache": True, "teachers": [{}, {}]}, size, 10**12)
    assert ("2 teachers × 2,000 answers × 3 classes × 2 bytes = 24.0 kB" in words, bad) == (True, False)
    assert cache_words({"cache": True, "teachers": [{}]}, size, 10**6)[1]
    assert "in memory" in cache_words({"cache": False, "teachers": [{}]}, size, 10**12)[0]
    assert "as soon as the rows" in cache_words({"cache": True}, None, 0)[0]


def test_pairs_by_hand_change_one_layer_at_a_time() -> None:
    assert with_pair([[1, 2], [2, 4]], 2, [6, 5]) == [[1, 2], [2, 5], [2, 6]]
    assert with_pair([[1, 2], [2, 4]], 1, []) == [[2, 4]]


def test_lines_of_the_towers_say_what_each_loss_does() -> None:
    student = Side("s", 3, 384, 12, 10)
    states = [
        loss(kind="hidden", weight=0.5, schedule={"name": "linear", "to": 0}), loss(kind="embedding", weight=0),
        loss(kind="relation", layers="cka"), loss(kind="hidden", layers=[[1, 1]]),
    ]  # fmt: skip
    found = links_of({"states": states}, student, TEACHER)
    assert [one.label for one in found] == [
        "Hidden states × 0.5 → 0 · spread evenly", "Embeddings × 0",
        "Relations of queries, keys, values × 1 · most alike (cka), found before the first step",
        "Hidden states × 1 · by hand",
    ]  # fmt: skip
    assert [one.pairs for one in found] == [((1, 2), (2, 4), (3, 6)), ((0, 0),), (), ((1, 1),)]
    assert [one.strong for one in found] == [True, False, True, True]
    now = Found(((1, 3), (2, 6)), (0.9, None), 4090)
    _, _, likely, hand = links_of({"states": states}, student, TEACHER, now)
    assert (likely.pairs, hand.pairs) == (((1, 3), (2, 6)), ((1, 1),))
    assert likely.label.endswith("most alike (cka), as measured now")
    assert pairs_words(now) == (
        "1 from 3 (0.90), 2 from 6: as measured now on 4,090 sub-words; found again before the first step."
    )
    assert answer_words({"answers": 1.0, "alpha": 0.7, "temperature": 2.0}) == "Answers · α 0.7, T 2"
    assert answer_words({"answers": 0.0, "alpha": 0.7, "temperature": 2.0}) == ""


def test_teachers_are_called_by_their_run_and_score() -> None:
    score = {"role": "test", "metric": "accuracy", "value": 0.786}
    offered = {"/a/best": {"title": "mine", "score": score}, "/b": {"title": "given (exported)", "score": None}}
    assert teacher_title(offered, "/a/best") == "mine · 78.6 % accuracy on test"
    assert teacher_title(offered, "/b") == "given (exported)"
    assert teacher_title(offered, "hub:x/y") == "hub:x/y"
    trained = {**ABOUT, "labels": [*"abcdefghij"], "task": {"kind": "tagging", "multi_label": False}}
    assert teacher_words(trained).endswith("tagging: a, b, c, d, e, f, g, h … (10)")
    asks = {**ABOUT, "labels": ["start", "end"], "task": {"kind": "question_answering", "head": "pointer"}}
    assert teacher_words(asks).endswith(" · question answering, a head that points")


def test_questions_need_one_tokeniser_and_other_tasks_do_not() -> None:
    asks = TaskConfig.model_validate({"kind": "question_answering"})
    trained = {**ABOUT, "labels": ["start", "end"], "task": asks.model_dump(), "vocabulary": "one"}
    student = student_side({**ABOUT, "vocabulary": "one"}, None)
    assert teacher_problem(trained, asks, ["start", "end"]) is None
    assert pieces_problem(trained, student) is None
    other = student_side({**ABOUT, "vocabulary": "two"}, None)
    assert "places among sub-words" in (pieces_problem(trained, other) or "")
    assert pieces_problem({**trained, "vocabulary": None}, other) is None
    assert pieces_problem(trained, None) is None


def test_answers_of_several_lengths_are_told_in_the_mean() -> None:
    size = answer_bytes({"answers": {"units": 100, "classes": 41, "numbers": 4096}})
    assert size == (100, 41, 8192)
    words, bad = cache_words({"cache": True, "teachers": [{}]}, size, 10**12)
    assert words.startswith("100 answers of 41 numbers in the mean, 2 bytes each = ")
    assert not bad


@pytest.mark.parametrize(
    ("details", "metric", "weak"),
    [
        ({"majority": 0.58}, "accuracy", True),
        ({"majority": 0.57}, "accuracy", False),
        ({"majority": 0.9}, "strict_f1", False),
        ({"majority": 0.9, "baseline": {"strict_f1": 0.6}}, "strict_f1", True),
        ({}, "accuracy", False),
    ],
)
def test_a_teacher_that_knows_nothing_is_warned_of(details: dict[str, Any], metric: str, weak: bool) -> None:
    offered = {"run": "one", "score": {"role": "test", "metric": metric, "value": 0.58}}
    studio: Any = SimpleNamespace(runs=SimpleNamespace(results=lambda _: {"details": {"test": details}}))
    assert ("no better than a method without a model" in weak_words(offered, studio)) is weak
    assert weak_words({**offered, "run": None}, studio) == ""


def test_a_slider_has_room_for_its_weight() -> None:
    assert range_of(0.5, None) == (0.0, 2.0, 0.01)
    assert range_of(100, None)[1] == 200
    assert range_of(1000, None)[1] == 1000
    assert range_of("x", None) == range_of(0, None)
    assert range_of(5, (0.0, 1.0, 0.1)) == (0.0, 1.0, 0.1)


def test_half_of_an_encoder_and_the_layers_that_stay() -> None:
    assert half_of(ABOUT) == 3
    assert half_of({**ABOUT, "family": "modernbert"}) is None
    assert half_of({**ABOUT, "layers": 1}) is None
    strip = kept_strip((2, 4), 4)
    assert strip.count("class=off") == 2
    assert "Layers 2, 4 of 4 are kept" in strip
