"""Two towers: what is drawn where, and in words."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

from core.render.look import Look
from core.render.towers_svg import Links, Tower, describe_towers, place_towers, towers_svg

LOOK = Look("#111111", "#eeeeee", "#ffffff", ("#a00000", "#00a000", "#0000a0", "#a0a000", "#00a0a0"))
STUDENT, TEACHER = Tower("student", 3, 192, (2, 4, 6)), Tower("teacher", 6, 384)
NS = "{http://www.w3.org/2000/svg}"


def _drawn(links: list[Links], answers: str = "") -> ElementTree.Element:
    return ElementTree.fromstring(towers_svg(STUDENT, TEACHER, links, LOOK, answers=answers))


def _titles(drawing: ElementTree.Element) -> list[str]:
    return [str(one.text) for one in drawing.iter(f"{NS}title")]


def test_each_pair_is_one_line_between_its_layers() -> None:
    links = [Links("Hidden states", ((1, 2), (2, 4), (3, 6)), 0), Links("Embeddings", ((0, 0),), 1, strong=False)]
    drawing = _drawn(links, "Answers, T 2")
    titles = _titles(drawing)
    assert [one for one in titles if one.startswith("Hidden")] == [
        f"Hidden states: layer {own} from the teacher's layer {2 * own}" for own in (1, 2, 3)
    ]
    assert "Embeddings: embeddings" in titles
    assert "Answers, T 2" in titles
    lines = [one for one in drawing.iter(f"{NS}path") if "C" in one.attrib["d"]]
    assert len(lines) == 5
    assert sum("stroke-dasharray" in one.attrib for one in lines) == 1


def test_a_pair_that_is_not_there_is_left_out() -> None:
    assert not [one for one in _titles(_drawn([Links("Hidden", ((4, 1), (1, 7)), 0)])) if one.startswith("Hidden")]


def test_the_smaller_encoder_is_the_smaller_tower() -> None:
    placed = place_towers(STUDENT, TEACHER, 2)
    assert len(placed.student) == 5
    assert len(placed.teacher) == 8
    assert placed.student[1][2] == placed.teacher[1][2] / 2
    assert placed.student[-1][1] > placed.teacher[-1][1] > 0
    for column in (placed.student, placed.teacher):
        for below, above in itertools.pairwise(column):
            assert above[1] + above[3] < below[1]


def test_layers_say_which_they_were() -> None:
    words = [str(one.text) for one in _drawn([]).iter(f"{NS}text")]
    assert [one for one in words if "was" in one] == ["1 (was 2)", "2 (was 4)", "3 (was 6)"]


def test_words_of_people_stay_words() -> None:
    drawing = _drawn([Links("<b>&", ((1, 1),), 0)], 'a "b" <c>')
    assert "<b>&" in [one.text for one in drawing.iter(f"{NS}text")]
    assert "<b>&: layer 1 from the teacher's layer 1" in drawing.attrib["aria-label"]


def test_a_map_that_is_found_later_says_so() -> None:
    assert "CKA: layers found before the first step" in describe_towers(STUDENT, TEACHER, [Links("CKA", (), 0)])


def test_deep_encoders_stay_within_the_picture() -> None:
    placed = place_towers(Tower("student", 1, None), Tower("teacher", 48, None), 0)
    assert placed.height < 900
    assert all(box[3] > 0 and box[1] >= 0 for box in placed.teacher)
