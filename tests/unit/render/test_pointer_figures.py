"""Where a head points, drawn: cells and marks, arcs as answered and missed, the right pointers over the training."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from core.render.graph_page import LIGHT
from core.render.pointer_figures import learning_map, pointer_arcs, pointer_map
from core.render.tree_svg import tree_svg

VIEW: dict[str, Any] = {
    "kind": "words", "text": "Anna Lee saw <b>", "rows": ["Anna", "Lee", "saw", "<b>"],
    "columns": ["Anna", "Lee", "saw", "<b>"], "slot": "no entity", "names": ["PER", "", "", ""],
    "shares": [[0.1, 0.8, 0.1, 0, 0], [0.6, 0.3, 0.1, 0, 0], [0.9, 0.1, 0, 0, 0], [1.0, 0, 0, 0, 0]],
    "memory": [[0.5, 0.5, 0, 0, 0]] * 4, "read": [1.0] * 4, "pointed": [1, 0, 0, 0], "spans": None, "contains": None,
}  # fmt: skip
GOLD: dict[str, Any] = {"pointed": [1, 1, 0, 0], "names": ["PER", "PER", "", ""], "spans": None, "contains": None}
SLICES: dict[str, Any] = {
    **VIEW, "kind": "stretches", "slot": None, "shares": [[0.9, 0.7, 0, 0]] + [[0.0] * 4] * 3, "pointed": [0] * 4,
    "spans": [{"first": 0, "last": 0, "name": "PER", "share": 0.9},
              {"first": 0, "last": 1, "name": "ORG", "share": 0.7}],
}  # fmt: skip


def test_cells_name_their_words_and_marks_differ_in_shape() -> None:
    cells, answered, gold = pointer_map(VIEW, LIGHT, gold=GOLD).data
    assert [list(row) for row in cells.z] == VIEW["shares"]
    assert list(cells.customdata[0][0]) == ["Anna", "[no entity]"]
    assert list(cells.customdata[3][4]) == ["&lt;b&gt;", "&lt;b&gt;"]
    assert (list(answered.x), list(answered.y)) == ([1, 0, 0, 0], [0, 1, 2, 3])
    assert (list(gold.x), list(gold.y)) == ([1, 1, 0, 0], [0, 1, 2, 3])
    assert answered.marker.symbol != gold.marker.symbol
    assert len(pointer_map(VIEW, LIGHT).data) == 2
    assert len(pointer_map(VIEW, LIGHT, gold=GOLD | {"pointed": None}).data) == 2


def test_a_memory_has_no_marks_and_a_questions_has_one_row() -> None:
    (cells,) = pointer_map(VIEW, LIGHT, gold=GOLD, memory=True).data
    assert list(cells.z[0]) == VIEW["memory"][0]
    asked = VIEW | {"kind": "question", "rows": ["start", "end"], "memory": [[0.5, 0.5, 0, 0, 0]]}
    figure = pointer_map(asked, LIGHT, memory=True)
    assert list(figure.layout.yaxis.ticktext) == ["start"]


def test_columns_of_stretches_have_no_empty_slot() -> None:
    cells, answered = pointer_map(SLICES, LIGHT).data
    assert list(cells.customdata[0][1]) == ["Anna", "Lee"]
    assert (list(answered.x), list(answered.y)) == ([0, 1], [0, 0])


def test_words_in_no_entity_have_an_arc_only_where_that_is_wrong() -> None:
    words, found, missed = pointer_arcs(VIEW, GOLD)
    assert words == VIEW["columns"]
    assert [(arc.word, arc.head, arc.right, arc.share) for arc in found] == [(1, 1, True, 0.8), (2, 0, False, 0.6)]
    assert [(arc.word, arc.head, arc.relation) for arc in missed] == [(2, 1, "PER")]
    titles = [
        one.text for one in ElementTree.fromstring(tree_svg(words, found, missed, LIGHT, root="no entity")).iter()
        if one.tag.endswith("title")
    ]  # fmt: skip
    assert titles == ["Anna → Anna (PER), 80.0 %", "Lee → no entity, 60.0 %, wrong", "gold: Lee → Anna (PER)"]
    assert len(pointer_arcs(VIEW)[1]) == 1  # without gold nothing is wrong


def test_heads_have_all_their_arcs() -> None:
    tree = VIEW | {"kind": "heads", "slot": "root", "names": ["a", "b", "c", "d"]}
    assert len(pointer_arcs(tree)[1]) == 4


def test_stretches_are_arcs_from_first_to_last_word() -> None:
    gold = {"spans": [{"first": 0, "last": 1, "name": "ORG"}, {"first": 2, "last": 3, "name": "LOC"}]}
    _, found, missed = pointer_arcs(SLICES, gold)
    assert [(arc.head, arc.word, arc.relation, arc.right) for arc in found] == [
        (1, 1, "PER", False), (1, 2, "ORG", True),
    ]  # fmt: skip
    assert [(arc.head, arc.word, arc.relation) for arc in missed] == [(3, 4, "LOC")]


def test_of_a_long_text_the_words_around_the_answer_are_drawn() -> None:
    words = [f"w{at}" for at in range(200)]
    asked = VIEW | {
        "kind": "question", "columns": words,
        "spans": [{"first": 100, "last": 102, "name": "answer", "share": 0.5}],
    }  # fmt: skip
    shown, (arc,), missed = pointer_arcs(asked, {"spans": [{"first": 110, "last": 110, "name": "answer"}]})
    assert (shown[0], shown[-1]) == ("w90", "w120")
    assert (shown[arc.head - 1], shown[arc.word - 1]) == ("w100", "w102")
    assert shown[missed[0].head - 1] == "w110"


@pytest.mark.parametrize(("gold", "title", "first"), [
    (GOLD, "Probability of the right pointer", [[0.8, 0.2], [0.3, 0.5]]),
    (None, "Probability of the last look's pointers", [[0.8, 0.2], [0.6, 0.4]]),
])  # fmt: skip
def test_the_right_pointers_over_the_training(gold: Any, title: str, first: list[list[float]]) -> None:
    later = VIEW | {"step": 20, "shares": [[0.8, 0.2, 0, 0, 0], [0.4, 0.5, 0.1, 0, 0], *VIEW["shares"][2:]]}
    figure = learning_map([VIEW | {"step": 0}, later], LIGHT, gold=gold)
    assert figure.layout.title.text == title
    assert list(figure.data[0].x) == ["0", "20"]
    assert [list(row) for row in figure.data[0].z[:2]] == first
    assert figure.data[0].customdata[0][0] == "Anna → Anna"
