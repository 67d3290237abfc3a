"""Arcs over words: levels, what is wrong and what was missed, and text that stays text."""

from __future__ import annotations

from xml.etree import ElementTree

from core.render.look import Look
from core.render.tree_svg import Arc, arcs_of, describe_tree, levels_of, tree_svg

LOOK = Look("#111111", "#222222", "#333333", ("#444444", "#555555"), {"warn": "#666666"})
WORDS = ["Her", "dog", "ran", "<b>&"]


def test_longer_arcs_stand_above_those_that_they_cover_or_cross() -> None:
    arcs = [Arc(1, 2), Arc(2, 4), Arc(3, 2), Arc(4, 1), Arc(5, 0)]
    levels = levels_of(arcs)
    assert levels == [1, 2, 1, 3, 0]
    assert levels_of([Arc(1, 3), Arc(2, 4)]) == [1, 2]


def test_wrong_arcs_are_told_from_those_that_differ_in_a_subtype() -> None:
    found, missed = arcs_of([2, 3, 0, 2], ["nmod", "det", "root", "punct"], [2, 3, 0, 3],
                            ["nmod:poss", "nsubj", "root", "punct"])  # fmt: skip
    assert [arc.right for arc in found] == [True, False, True, False]
    assert [(arc.word, arc.head, arc.relation) for arc in missed] == [(2, 3, "nsubj"), (4, 3, "punct")]
    assert arcs_of([0], None) == ([Arc(1, 0)], [])


def test_the_drawing_is_xml_and_says_in_words_what_it_shows() -> None:
    found, missed = arcs_of([2, 3, 0, 4], ["det", "nsubj", "root", "x<y"], [2, 3, 0, 3], ["det", "nsubj", "root", "z"])
    drawn = ElementTree.fromstring(tree_svg(WORDS, found, missed, LOOK))
    told = drawn.attrib["aria-label"]
    assert told == describe_tree(WORDS, found, missed)
    assert "ran → root (root)" in told
    assert "<b>& → <b>& (x<y), wrong" in told
    assert told.endswith("Gold: <b>& → ran (z)")
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:4] == WORDS
    colours = [one.attrib.get("stroke") for one in drawn.iter("{http://www.w3.org/2000/svg}path")]
    assert colours.count("#666666") == 1
    assert colours.count("#444444") == 1
    assert tree_svg([], [], [], LOOK).startswith("<svg")
