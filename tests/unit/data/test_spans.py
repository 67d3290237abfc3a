"""Spans beside words: how cells are read, what is refused and named, which head may learn spans that overlap."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import DataConfig, TaskConfig
from core.config.derive import DeriveConfig
from core.data import check, load_roles, preview
from core.data.derive.rows import read_items
from core.data.span_rows import outermost, overlaps
from core.errors import DataError

GLOBAL = TaskConfig.model_validate(
    {"kind": "tagging", "gold": "spans", "head": "pointer", "pointer": {"kind": "global"}}
)
LINEAR = TaskConfig(kind="tagging", gold="spans")
OUTER = TaskConfig(kind="tagging", gold="spans", nested="outermost")
WORDS = ["the", "bank", "of", "london", "works"]
NESTED = [(1, 3, "ORG"), (3, 3, "LOC")]


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def whole(path: Path, **more: Any) -> DataConfig:
    return DataConfig(source=str(path), gate_share=0, test_share=0, **more)


def spans_of(row: dict[str, Any], labels: list[str]) -> list[tuple[int, int, str]]:
    kinds = [labels[kind].removeprefix("B-") for kind in row["kinds"]]
    return list(zip(row["firsts"], row["lasts"], kinds, strict=True))


def codes(data: DataConfig, task: TaskConfig, cache: Path) -> list[str]:
    return [one.code for one in check(data, task, cache=cache).findings]


DICTS = [{"start": 1, "end": 4, "label": "ORG"}, {"start": 3, "end": 4, "type": "LOC"}]


@pytest.mark.parametrize(
    ("cell", "offsets"),
    [
        (DICTS, "words"),
        ([[3.0, 4, " LOC "], [1, 4, "ORG"]], "words"),
        ([{"start": 1, "end": 3, "label": "ORG", "text": "bank of  london"}, [3, 3, "LOC"]], "words_inclusive"),
        ([{"first": 1, "last": 3, "type": "ORG", "score": 0.9}, [3, 4, "LOC"]], "words"),
        ({"start": [1, 3], "end": [4, 4], "label": ["ORG", "LOC"]}, "words"),
        (json.dumps(DICTS), "words"),
        ("[(1, 4, 'ORG'), (3, 4, 'LOC')]", "words"),
    ],
)
def test_cells_of_spans_are_read(cell: Any, offsets: Any, write: Callable[..., Path], cache: Path) -> None:
    data = whole(write("a.jsonl", lines({"tokens": WORDS, "entities": cell})), span_offsets=offsets)
    roles = load_roles(data, GLOBAL, cache=cache)
    assert roles.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    assert spans_of(roles.train[0], roles.labels) == NESTED
    assert [roles.labels[tag] for tag in roles.train[0]["tags"]] == ["O", "B-ORG", "I-ORG", "I-ORG", "O"]
    assert {one["label"]: one["count"] for one in roles.report["labels"]} == {"LOC": 1, "ORG": 1}


def test_cells_of_csv_are_json_and_characters_stand_at_words(write: Callable[..., Path], cache: Path) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("tokens", "spans"), (" ".join(WORDS), json.dumps(DICTS)), ("a b", "[]"), ("a c", "")])
    data = whole(write("a.csv", out.getvalue()))
    roles = load_roles(data, GLOBAL, cache=cache)
    assert [spans_of(row, roles.labels) for row in roles.train] == [NESTED, []]
    assert "dropped_no_spans" in codes(data, GLOBAL, cache)
    text = "The bank of London, too."
    placed = [{"start": 4, "end": 18, "label": "ORG"}, {"start": 12, "end": 18, "label": "LOC"}]
    data = whole(write("b.jsonl", lines({"text": text, "spans": placed})), span_offsets="characters")
    roles = load_roles(data, GLOBAL, cache=cache)
    assert roles.train[0]["tokens"] == ["The", "bank", "of", "London", ",", "too", "."]
    assert spans_of(roles.train[0], roles.labels) == NESTED


@pytest.mark.parametrize(
    ("cell", "reason", "told"),
    [
        ([[4, 7, "ORG"]], "span_outside", "ends at 7, and the sentence has 5 words"),
        ([[10, 17, "ORG"]], "span_outside", "set data.span_offsets to characters"),
        ([[-1, 2, "ORG"]], "span_outside", "lies before the sentence"),
        ([[3, 3, "ORG"]], "span_order", "words_inclusive"),
        ([{"start": 1, "end": 2}], "no_span_label", "span 1 of column 'spans' has no label"),
        ([{"start": 1, "label": "ORG"}], "bad_span", "has no end"),
        ([{"start": 1, "end": 2, "tag": "ORG"}], "bad_span", "the key 'tag'"),
        ([[1, 2, "ORG"], [1, "x", "ORG"]], "bad_span", "end of span 2 of column 'spans' is 'x'"),
        ([[True, 2, "ORG"]], "bad_span", "no number"),
        ([[1, 2]], "bad_span", "2 parts instead of"),
        ([{"start": 1, "end": 3, "label": "ORG", "text": "bank"}], "bad_span", "'bank of' stands at its place"),
        ([[[1, 2, "ORG"], [3, 4, "LOC"]]], "bad_span", "a row is one sentence"),
        ([[1, 2, 7]], "bad_span", "does not tell its name"),
        ("[[1, 2,", "bad_spans", "is not JSON (Expecting value at character"),
        (7, "bad_spans", "holds a int, not a list of spans"),
        ([[0, 1, "ORG"]] * 1001, "many_spans", "1,001 spans; 1,000 is the most"),
        ([[0, 1, "O" * 201]], "label_too_long", "201 characters"),
        (None, "no_spans", "a sentence without entities has []"),
    ],
)
def test_rows_with_bad_spans_are_left_out_and_named(
    cell: Any, reason: str, told: str, write: Callable[..., Path], cache: Path
) -> None:
    good = [{"tokens": ["anna", str(at)], "spans": [[0, 1, "PER"]]} for at in range(2)]
    data = whole(write("a.jsonl", lines(*good, {"tokens": WORDS, "spans": cell})))
    report = check(data, GLOBAL, cache=cache)
    (found,) = [one for one in report.findings if one.code == f"dropped_{reason}"]
    assert "row 3 (line 3)" in found.where
    assert told in found.where
    assert report.ok
    assert report.sources["train"]["kept"] == 2
    assert any(told[:20] in one for one in preview(data, GLOBAL)["problems"])
    shape = [one.advice for one in report.findings if one.code == "span_shape"]
    assert reason == "label_too_long" or '{"start": 0, "end": 2, "label": "ORG"}' in shape[0]


def test_parquet_of_datasets_names_the_labels_of_its_spans(tmp_path: Path, cache: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    span = {"start": Value("int32"), "end": Value("int32"), "label": ClassLabel(names=["LOC", "ORG"])}
    features = Features({"tokens": List(Value("string")), "spans": List(span)})
    cells = [{"start": 1, "end": 4, "label": 1}, {"start": 3, "end": 4, "label": 0}]
    Dataset.from_dict({"tokens": [WORDS], "spans": [cells]}, features=features).to_parquet(tmp_path / "a.parquet")
    roles = load_roles(whole(tmp_path / "a.parquet"), GLOBAL, cache=cache)
    assert spans_of(roles.train[0], roles.labels) == NESTED
    assert preview(whole(tmp_path / "a.parquet"), GLOBAL)["rows"][0]["spans"][0] == '{"start": 1, "end": 4, "label": 1}'


def test_characters_that_cut_words_are_left_out(write: Callable[..., Path], cache: Path) -> None:
    rows = [{"text": "London works", "spans": [cell]} for cell in ([0, 6, "LOC"], [0, 4, "LOC"], [0, 99, "LOC"])]
    report = check(whole(write("a.jsonl", lines(*rows)), span_offsets="characters"), GLOBAL, cache=cache)
    told = {one.code: one.where for one in report.findings}
    assert "does not end where a word ends: character 4" in told["dropped_cut_span"]
    assert "the text has 12 characters" in told["dropped_span_outside"]


def test_only_a_head_that_can_nest_learns_spans_that_overlap(write: Callable[..., Path], cache: Path) -> None:
    rows = [{"tokens": ["anna", "of", "rome", str(at)], "spans": [[0, 3, "PER"], [2, 3, "LOC"]]} for at in range(2)]
    rows += [{"tokens": ["paul", str(at)], "spans": [[0, 1, "PER"], [0, 1, "PER"], [0, 1, "BOY"]]} for at in range(1)]
    data = whole(write("a.jsonl", lines(*rows)))
    notes = {one.code: one for one in check(data, GLOBAL, cache=cache).findings}
    assert notes["nested_spans"].level == "note"
    assert "33% of the entities lie inside another one, 100% share words" in notes["nested_spans"].message
    assert "1 spans stand twice" in notes["repeated_spans"].message
    with pytest.raises(DataError) as refused:
        load_roles(data, LINEAR, cache=cache)
    said = refused.value.message()
    assert "3 rows have spans that share words, and a head that is linear" in said
    assert "row 1 (line 1): 'anna of rome' (PER) and 'rome' (LOC) share words" in said
    assert "task.pointer.kind global" in said
    assert "task.nested to outermost" in said
    points = TaskConfig(kind="tagging", gold="spans", head="pointer")
    with pytest.raises(DataError, match="a pointer of words"):
        load_roles(data, points, cache=cache)
    roles = load_roles(data, OUTER, cache=cache)
    assert [roles.labels[tag] for tag in roles.train[0]["tags"]] == ["B-PER", "I-PER", "I-PER", "O"]
    assert len(roles.train[0]["kinds"]) == 2
    assert [one.level for one in check(data, OUTER, cache=cache).findings if one.code == "nested_spans"] == ["warning"]


def test_flat_spans_are_the_tags_they_spell_for_every_head(write: Callable[..., Path], cache: Path) -> None:
    tags = ["O", "B-ORG", "I-ORG", "I-ORG", "O"]
    more = [{"tokens": ["paris", str(at)], "tags": ["B-LOC", "O"], "spans": [[0, 1, "LOC"]]} for at in range(20)]
    data = DataConfig(
        source=str(write("a.jsonl", lines({"tokens": WORDS, "tags": tags, "spans": [[1, 4, "ORG"]]}, *more)))
    )
    told, spelled = (load_roles(data, task, cache=cache) for task in (LINEAR, TaskConfig(kind="tagging")))
    assert told.labels == spelled.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    assert told.report["balance"] == spelled.report["balance"]
    for role in ("train", "gate", "test"):
        columns = ["row", "tokens", "tags"]
        one, two = (getattr(side, role).select_columns(columns)[:] for side in (told, spelled))
        assert one == two
    with pytest.raises(ValueError, match=r"task\.gold spans is for tagging"):
        TaskConfig(gold="spans")


def test_what_has_no_spans_and_what_has_no_tags_is_said(write: Callable[..., Path], cache: Path) -> None:
    conll = write("a.conll", "anna B-PER\nruns O\n")
    (found,) = check(whole(conll), GLOBAL, cache=cache).findings
    assert "holds a tag a word, and no spans" in found.message
    assert "task.gold to tags" in found.advice
    path = write("a.jsonl", lines({"tokens": WORDS, "spans": DICTS}))
    (found,) = check(whole(path), TaskConfig(kind="tagging"), cache=cache).findings
    assert "they are read with task.gold spans" in found.where
    with pytest.raises(DataError, match="Rows with spans cannot be derived from"):
        read_items(DeriveConfig.model_validate({"source": str(path), "steps": ["summaries"]}))


def test_the_guard_and_unknown_types_see_spans(write: Callable[..., Path], cache: Path) -> None:
    rows = [{"tokens": ["paris", str(at)], "spans": [[0, 1, "LOC"]]} for at in range(3)]
    test = [{"tokens": ["rome", "of", "anna"], "spans": [[0, 3, "LOC"], [2, 3, "PER"]]}, {**rows[0], "spans": []}]
    data = DataConfig(
        source=str(write("a.jsonl", lines(*rows))), test_source=str(write("t.jsonl", lines(*test))), gate_share=0
    )
    told = {one.code: one for one in check(data, GLOBAL, cache=cache).findings}
    assert "'B-PER' (1 times)" in told["unknown_label"].message
    assert told["unknown_label"].where == "t.jsonl, row 1"
    assert "train row 1 = test row 2" in told["leak"].where


span_sets = st.sets(
    st.tuples(st.integers(0, 8), st.integers(0, 4), st.sampled_from("AB")).map(
        lambda one: (one[0], one[0] + one[1], one[2])
    ),
    max_size=9,
)


@given(span_sets)
def test_overlaps_are_those_of_sets_of_words(drawn: set[tuple[int, int, str]]) -> None:
    spans = sorted(drawn)
    words = [set(range(first, last + 1)) for first, last, _ in spans]
    shares, inside = overlaps(spans)
    for at, mine in enumerate(words):
        others = words[:at] + words[at + 1 :]
        assert shares[at] == any(mine & other for other in others)
        assert inside[at] == any(mine < other for other in others)
    kept = outermost(spans)
    assert not any(overlaps(kept)[0])
    for one, mine in zip(spans, words, strict=True):
        longest = max((len(words[spans.index(other)]) for other in kept if mine & words[spans.index(other)]), default=0)
        assert one in kept or longest >= len(mine)


def test_the_shell_checks_a_file_of_spans(
    write: Callable[..., Path], tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from core.cli.app import app

    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    rows = [{"tokens": ["film", "was", str(at)], "found": [[0, 1, "A"], [0, 2, "A"]]} for at in range(3)]
    file = str(write("a.jsonl", lines(*rows)))
    result = CliRunner().invoke(app, ["data", "check", file, "--spans", "found", "--model", str(small_model), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["task"], told["labels"][0]["count"]) == ("tagging", 6)
    assert "50% of the entities lie inside another one" in str(told["findings"])
