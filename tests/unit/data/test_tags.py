"""Tag schemes against seqeval's reading of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.tags import TagScheme, detect_scheme, to_iob2

KINDS = ("PER", "LOC", "geo-loc")
sentences = st.lists(st.tuples(st.sampled_from((None, *KINDS)), st.integers(1, 4)), min_size=1, max_size=8)


def spell(chunks: list[tuple[str | None, int]], scheme: str) -> list[str]:
    """Write chunks (type or None, words) as tags."""
    tags: list[str] = []
    before = None
    for kind, length in chunks:
        if kind is None:
            tags += ["O"] * length
        elif scheme == "IOB2":
            tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
        elif scheme == "BIOES":
            tags += [f"S-{kind}"] if length == 1 else [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"E-{kind}"]
        else:
            tags += [f"{'B' if before == kind else 'I'}-{kind}", *[f"I-{kind}"] * (length - 1)]
        before = kind
    return tags


@settings(deadline=None)
@given(sentences, st.sampled_from(("IOB2", "BIOES", "I")))
def test_legal_sequences_of_every_scheme_become_the_same_iob2(chunks, scheme: str) -> None:
    converted, problems = to_iob2(spell(chunks, scheme), TagScheme(scheme))
    assert converted == spell(chunks, "IOB2")
    assert problems == []


@settings(deadline=None)
@given(st.lists(st.sampled_from(["O", *(f"{letter}-{kind}" for letter in "BI" for kind in KINDS)]), max_size=12))
def test_any_iob2_sequence_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import IOB2, Entities

    converted, problems = to_iob2(tags, TagScheme("IOB2"))
    strict = [(entity.tag, entity.start, entity.end - 1) for entity in Entities([converted], IOB2).entities[0]]
    assert strict == [(kind, start, end) for kind, start, end in get_entities(tags)]
    assert bool(problems) == (converted != tags)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["O", *(f"{letter}-X" for letter in "BIES")]), max_size=9), max_size=6))
def test_conversion_always_gives_legal_iob2(rows: list[list[str]]) -> None:
    scheme = detect_scheme(rows)
    for row in rows:
        try:
            converted, _ = to_iob2(row, scheme)
        except ValueError:
            continue
        assert len(converted) == len(row)
        again, problems = to_iob2(converted, TagScheme("IOB2"))
        assert (again, problems) == (converted, [])


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([["O", "B-X", "I-X"], ["B-Y"]], "IOB2"),
        ([["O", "S-X"], ["B-Y", "E-Y"]], "BIOES"),
        ([["O", "U-X"], ["B-Y", "L-Y"]], "BIOES"),
        ([["I-X", "I-X", "B-X", "O"]], "I"),
        ([["O", "I-X"], ["I-Y", "O"]], "I"),
        ([["O", "PER", "PER"]], "plain"),
        ([["NOUN", "VERB"], ["ADJ"]], "each"),
        ([["O", "B_X", "I_X"]], "IOB2"),
        ([], "IOB2"),
    ],
)
def test_schemes_are_told_apart(rows: list[list[str]], name: str) -> None:
    assert detect_scheme(rows).name == name


def test_bilou_and_underscores_are_understood() -> None:
    rows = [["U_X", "O", "B_Y", "I_Y", "L_Y"]]
    scheme = detect_scheme(rows)
    assert to_iob2(rows[0], scheme) == (["B-X", "O", "B-Y", "I-Y", "I-Y"], [])


@pytest.mark.parametrize(
    ("tags", "scheme", "at"),
    [
        (["I-X"], "IOB2", [0]),
        (["B-X", "I-Y"], "IOB2", [1]),
        (["O", "I-X", "I-X"], "IOB2", [1]),
        (["B-X", "O"], "BIOES", [1]),
        (["B-X", "S-Y"], "BIOES", [1]),
        (["E-X"], "BIOES", [0]),
        (["S-X", "I-X"], "BIOES", [1, 1]),
        (["B-X"], "BIOES", [0]),
    ],
)
def test_illegal_steps_are_placed(tags: list[str], scheme: str, at: list[int]) -> None:
    assert [index for index, _ in to_iob2(tags, TagScheme(scheme))[1]] == at


@pytest.mark.parametrize("tag", ["X", "S-X", "Q-X", "B-", "-"])
def test_a_tag_of_no_scheme_is_named(tag: str) -> None:
    with pytest.raises(ValueError, match="word 2"):
        to_iob2(["O", tag], TagScheme("IOB2"))
