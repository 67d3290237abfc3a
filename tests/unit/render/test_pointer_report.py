"""Where heads point in reports: maps with gold beside answers, what is left out of them, and nothing without looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from core.render.pointer_report import pointer_blocks
from core.render.pointer_svg import MOST, columns_shown, pointer_svg
from core.render.report_page import html_report, markdown_report
from core.runs.pointing import pointer_looks, sentences_of_test
from core.training.diary import Diary
from core.training.pointing import FILE
from tests.unit.render.test_pointer_figures import GOLD, SLICES, VIEW

#: The start is answered at the 50th word, where the gold is the 40th; one word more is large, all others are even.
LONG: dict[str, Any] = {
    **VIEW, "kind": "question", "slot": "no answer", "rows": ["start", "end"], "names": ["", ""], "memory": None,
    "columns": [f"w{at}" for at in range(1, 81)], "pointed": [50, 51],
    "shares": [[0.1, *(0.5 if at == 50 else 0.2 if at == 7 else 0.2 / 78 for at in range(1, 81))] for _ in range(2)],
    "spans": [{"first": 49, "last": 50, "name": "answer", "share": 0.25}],
}  # fmt: skip
LONG_GOLD: dict[str, Any] = {
    "pointed": [40, 40], "names": ["", ""], "spans": [{"first": 39, "last": 39, "name": "answer"}], "contains": None,
}  # fmt: skip


def write_looks(folder: Path, texts: Sequence[str], task: str = "", role: str = "test") -> None:
    """Write what a run with a head that points leaves: the same view of several sentences, looked at once."""
    folder.mkdir(parents=True, exist_ok=True)
    diary = Diary(folder / FILE, lambda entry: True)
    for at, text in enumerate(texts):
        pin = f"{task}/{role}/{at}"
        known = {"stage": 0, "role": role}
        diary.write(
            "sentence", 3, pin, **known, task=task, row=at + 1, gold=GOLD, text=text, rows=VIEW["rows"],
            columns=VIEW["columns"], slot=VIEW["slot"], form="words",
        )  # fmt: skip
        small = {name: VIEW[name] for name in ("pointed", "names", "spans", "contains")}
        shares = [[round(1000 * share) for share in row] for row in VIEW["shares"]]
        diary.write("look", 3, pin, **known, **small, shares=shares)


def sentence(view: dict[str, Any], gold: dict[str, Any]) -> dict[str, Any]:
    return {"row": 4, "text": "Anna Lee saw <b> http://x", "gold": gold, "looks": [view]}


def drawn(svg: str, kind: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(svg).iter() if one.get("class") == kind]


def test_a_map_has_all_shares_with_marks_of_answers_and_gold() -> None:
    svg = pointer_svg(VIEW, title="<names>", gold=GOLD)
    cells = drawn(svg, "pt-share")[:-3]  # the last ones are the legend's
    assert [float(one.get("fill-opacity", "")) for one in cells] == [share for row in VIEW["shares"] for share in row]
    assert cells[1][0].text == "Anna → Anna: 80.0 %"
    crosses, squares = drawn(svg, "pt-cross"), drawn(svg, "pt-gold")
    assert (len(crosses), len(squares)) == (4 + 1, 4 + 1)  # and one each in the legend
    # The second word's gold is in the column of its answer's right neighbour.
    place = {one.get("x") for one in cells if one[0].text == "Lee → Anna: 30.0 %"}
    assert float(squares[1].get("x", "")) - 1.5 in {float(x or 0) for x in place}
    assert len(drawn(pointer_svg(VIEW, title="x"), "pt-gold")) == 0


def test_of_a_long_text_gold_answers_and_the_largest_shares_are_drawn_and_the_rest_is_told() -> None:
    shown = columns_shown(LONG, LONG_GOLD)
    assert len(shown) == MOST
    assert {0, 7, 40, 50, 51} <= set(shown)
    assert shown == sorted(shown)
    (_, _, _, figure, words, table) = pointer_blocks([{"name": "asked", "sentences": [sentence(LONG, LONG_GOLD)]}])
    cells = drawn(figure.text, "pt-share")
    assert len(cells) == 2 * MOST + 3
    height = float(ElementTree.fromstring(figure.text).get("height", ""))
    assert max(float(one.get("y", "")) for one in cells) < height - 20  # also the legend of a map of two rows
    rest = 1 - sum(LONG["shares"][0][at] for at in shown)
    assert f"start {100 * rest:.1f} %" in words.text
    assert f"{MOST} of 81 columns are drawn" in words.text
    assert table.rows[1] == ("start", "w40", "w50", "0.3 %", "50.0 %")
    assert columns_shown(VIEW, GOLD) == list(range(5))


def test_gold_stands_beside_answers_in_words() -> None:
    *_, table = pointer_blocks([{"name": "names", "sentences": [sentence(VIEW, GOLD)]}])
    assert table.rows[1:] == (
        ("Anna", "Anna (PER)", "Anna (PER)", "80.0 %", "80.0 %"),
        ("Lee", "Anna (PER)", "[no entity]", "30.0 %", "60.0 %"),
    )
    outside = pointer_blocks([{"name": "names", "sentences": [sentence(VIEW, GOLD | {"pointed": None})]}])[-1]
    assert outside.rows[1] == ("Anna", "outside of what is shown", "Anna (PER)", "", "80.0 %")
    gold = {"pointed": None, "names": [], "spans": [{"first": 0, "last": 1, "name": "ORG"},
                                                    {"first": 2, "last": 2, "name": "LOC"}]}  # fmt: skip
    table = pointer_blocks([{"name": "names", "sentences": [sentence(SLICES, gold)]}])[-1]
    assert table.rows[1:] == (
        ("Anna", "none", "PER", "90.0 %"), ("Anna Lee", "ORG", "ORG", "70.0 %"), ("saw", "LOC", "none", "0.0 %"),
    )  # fmt: skip


def test_the_section_leads_nowhere_and_is_not_there_without_sentences() -> None:
    assert pointer_blocks([]) == []
    assert pointer_blocks([{"name": "names", "sentences": []}]) == []
    blocks = pointer_blocks([{"name": "names", "sentences": [sentence(VIEW, GOLD)]}])
    page = html_report(blocks)
    assert "http" not in page
    assert "<b>" not in page
    assert "do not measure how well" in page
    assert markdown_report(blocks).count("data:image/svg+xml;base64,") == 1


@pytest.mark.parametrize("task", ["", "names"])
def test_the_first_test_sentences_of_a_run_are_read(tmp_path: Path, task: str) -> None:
    write_looks(tmp_path, ["a", "b", "c"], task)
    write_looks(tmp_path, ["d"], task, "gate")
    assert [one["text"] for one in sentences_of_test(tmp_path)[task]] == ["a", "b"]
    assert len(pointer_looks(tmp_path)) == 4
    assert sentences_of_test(tmp_path / "nothing") == {}
