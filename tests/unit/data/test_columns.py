"""Column mapping and what a row must have."""

from __future__ import annotations

import json

import pytest

from core.config import Columns, DataConfig, TaskConfig
from core.data.table import read_table
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY, TAG

MULTI = TaskConfig(multi_label=True)


def reading(file, cache, task=CLASSIFY, **columns):
    return read_table(DataConfig(source=str(file), columns=Columns(**columns)), task, cache).reading


@pytest.mark.parametrize(
    ("header", "mapping"),
    [
        ("id,text,label", {"text": "text", "label": "label"}),
        ("Label,Text,x", {"text": "Text", "label": "Label"}),
        ("n,sentence,category", {"text": "sentence", "label": "category"}),
        ("n,was_geschrieben_wurde,urteil", {"text": "was_geschrieben_wurde", "label": "urteil"}),
        ("sentence1,sentence2,label", {"text": "sentence1", "text_pair": "sentence2", "label": "label"}),
    ],
)
def test_columns_are_found(write, cache, header: str, mapping: dict[str, str]) -> None:
    cells = {"n": "{i}", "id": "{i}", "x": "{i}"}
    long, short = "a sentence of some length, number {i}", "{l}"

    def cell(name: str, i: int) -> str:
        form = cells.get(name, short if name.lower() in ("label", "category", "urteil") else long)
        return '"' + form.format(i=i, l="ab"[i % 2]) + '"'

    rows = "\n".join(",".join(cell(name, i) for name in header.split(",")) for i in range(20))
    assert reading(write("data.csv", f"{header}\n{rows}\n"), cache).mapping == mapping


def test_a_missing_column_is_named_with_those_that_exist(write, cache) -> None:
    file = write("data.csv", "text,sentiment\na b c,x\nd e f,y\n")
    with pytest.raises(DataError) as caught:
        reading(file, cache, label="sentimant")
    assert "'sentimant'" in caught.value.what
    assert "'text', 'sentiment'" in str(caught.value.expected)
    assert "'sentiment'" in str(caught.value.advice)


def test_no_fitting_column_is_told(write, cache) -> None:
    rows = "".join(f"text number {index},{index}\n" for index in range(20))
    with pytest.raises(DataError, match="No column for label"):
        reading(write("data.csv", "text,id\n" + rows), cache)


def test_one_column_for_two_things_is_refused(write, cache) -> None:
    with pytest.raises(DataError, match="two things"):
        reading(write("data.csv", "text,label\na,b\n"), cache, text="label", label="label")


def test_a_header_alone_has_no_rows(write, cache) -> None:
    with pytest.raises(DataError, match="no rows"):
        reading(write("data.csv", "text,label\n"), cache)


def test_every_reason_for_dropping_is_counted_and_named(write, cache) -> None:
    rows = [
        {"text": "good", "label": "a"},
        {"text": "  ", "label": "a"},
        {"text": None, "label": "a"},
        {"label": "a"},
        {"text": "no label", "label": ""},
        {"text": "no label", "label": None},
        {"text": {"a": 1}, "label": "a"},
        {"text": "two", "label": ["a", "b"]},
        {"text": "x" * 1_000_001, "label": "a"},
        {"text": "long label", "label": "y" * 300},
        {"text": "lone \ud800 surrogate", "label": "a"},
        {"text": 12.5, "label": 3.0},
        {"text": "yes", "label": True},
    ]
    found = reading(write("data.jsonl", "\n".join(map(json.dumps, rows))), cache)
    assert {reason: [row["row"] for row in entry["rows"]] for reason, entry in found.dropped.items()} == {
        "empty": [2, 3, 4],
        "no_label": [5, 6],
        "not_text": [7],
        "several_labels": [8],
        "too_long": [9],
        "label_too_long": [10],
        "encoding": [11],
    }
    assert (found.read, found.kept) == (13, 3)
    assert found.labels == ["a", "3", "true"]


def test_no_more_than_twenty_rows_are_named(write, cache) -> None:
    found = reading(write("data.csv", "text,label\ngood,a\n" + ",a\n" * 50), cache)
    assert found.dropped["empty"]["count"] == 50
    assert len(found.dropped["empty"]["rows"]) == 20


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["a|b", "b", ""], [["a", "b"], ["b"], []]),
        (["a;b", "b; c", "a,x"], [["a", "b"], ["b", "c"], ["a,x"]]),
        (["a, b", "b", "a"], [["a", "b"], ["b"], ["a"]]),
        (['["a", "b"]', "['c']", "[]"], [["a", "b"], ["c"], []]),
        ([["a", "b", "a"], [], None], [["a", "b"], [], []]),
    ],
)
def test_several_labels_in_a_cell(write, cache, cells: list, labels: list[list[str]]) -> None:
    rows = "\n".join(json.dumps({"text": f"text {index}", "label": cell}) for index, cell in enumerate(cells))
    table = read_table(DataConfig(source=str(write("data.jsonl", rows))), MULTI, cache)
    names = table.reading.labels
    assert [[names[label] for label in row] for row in table.arrow().column("labels").to_pylist()] == labels


def test_tokens_and_tags_as_lists_strings_and_spelled_lists(write, cache) -> None:
    rows = [
        {"tokens": ["a", "b"], "ner_tags": ["O", "B-X"]},
        {"tokens": "a b", "ner_tags": "O B-X"},
        {"tokens": "['a', 'b']", "ner_tags": '["O", "B-X"]'},
        {"tokens": ["a"], "ner_tags": ["O", "O"]},
        {"tokens": [], "ner_tags": []},
        {"tokens": ["a", " "], "ner_tags": ["O", "O"]},
    ]
    table = read_table(DataConfig(source=str(write("data.jsonl", "\n".join(map(json.dumps, rows))))), TAG, cache)
    assert table.arrow().column("tokens").to_pylist() == [["a", "b"]] * 3
    assert {reason: entry["count"] for reason, entry in table.reading.dropped.items()} == {"length": 1, "empty": 2}


def test_tag_numbers_need_names(write, cache) -> None:
    rows = "\n".join(json.dumps({"tokens": ["a", "b"], "ner_tags": [0, index % 3]}) for index in range(5))
    with pytest.raises(DataError, match="does not tell their names"):
        read_table(DataConfig(source=str(write("data.jsonl", rows))), TAG, cache)


def test_tag_numbers_with_names_are_used(tmp_path, cache) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER", "I-PER"]))})
    rows = Dataset.from_dict({"tokens": [["a", "b", "c"]] * 3, "ner_tags": [[1, 2, 0]] * 3}, features=features)
    rows.to_parquet(tmp_path / "data.parquet")
    table = read_table(DataConfig(source=str(tmp_path / "data.parquet")), TAG, cache)
    assert table.reading.labels == ["B-PER", "I-PER", "O"]


def test_code_in_a_spelled_list_is_not_run(write, cache, tmp_path) -> None:
    bomb = f"[__import__('pathlib').Path({str(tmp_path / 'made')!r}).touch()]"
    rows = "\n".join(json.dumps({"text": f"text {index}", "label": cell}) for index, cell in enumerate([bomb, "a"]))
    read_table(DataConfig(source=str(write("data.jsonl", rows))), MULTI, cache)
    assert not (tmp_path / "made").exists()
