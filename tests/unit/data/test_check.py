"""The check before training and the preview."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.config import Columns, DataConfig, TaskConfig
from core.data import DataReport, check, preview
from core.data.pieces import count_pieces, load_tokenizer
from core.data.report import histogram
from core.data.roles import load_roles
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY, TAG, reviews


def codes(report: DataReport) -> dict[str, str]:
    return {finding.code: finding.level for finding in report.findings}


def finding(report: DataReport, code: str):
    return next(one for one in report.findings if one.code == code)


def test_good_data_has_nothing_to_report(table, cache, small_model) -> None:
    report = check(table(reviews(600)), CLASSIFY, small_model, 32, cache=cache)
    assert report.ok
    assert report.findings == []
    told = report.as_dict()
    assert told["rows"] == {"read": 600, "kept": 600, "dropped": 0}
    assert told["balance"] == {
        "train": {"bad": 160, "good": 320},
        "gate": {"bad": 20, "good": 40},
        "test": {"bad": 20, "good": 40},
    }
    assert told["labels"][0] == {
        "label": "bad",
        "count": 200,
        "share": 1 / 3,
        "roles": {"train": 160, "gate": 20, "test": 20},
    }
    assert told["sources"]["train"]["mapping"] == {"text": "text", "label": "label"}
    json.dumps(told)


def test_what_the_check_refuses_never_trains(table, write, cache) -> None:
    one = table([(f"text {index}", "good") for index in range(30)], name="one.csv")
    leak = table(reviews(60), name="leak.csv", test_source=table(reviews(10), name="test.csv").source)
    unknown = table(reviews(60), name="unknown.csv", gate_source=table([("x y z", "odd")], name="gate.csv").source)
    torn = DataConfig(source=str(write("torn.csv", "text,label\n" + "a,b\n" * 10 + "a,b,c\n" * 30)))
    for data, code in ((one, "one_class"), (leak, "leak"), (unknown, "unknown_label"), (torn, "mostly_dropped")):
        report = check(data, CLASSIFY, cache=cache)
        assert codes(report)[code] == "error"
        assert not report.as_dict()["ok"]
        with pytest.raises(DataError):
            load_roles(data, CLASSIFY, cache=cache)


def test_a_missing_column_is_not_usable_but_no_table_is_unreadable(write, cache) -> None:
    report = check(
        DataConfig(source=str(write("data.csv", "a,b\n1,2\n")), columns=Columns(text="text")), CLASSIFY, cache=cache
    )
    assert not report.ok
    assert "'a', 'b'" in report.findings[0].advice
    with pytest.raises(DataError, match="binary"):
        check(DataConfig(source=str(write("data.bin", b"\0\1\2" * 500))), CLASSIFY, cache=cache)
    with pytest.raises(DataError, match="does not exist"):
        check(
            DataConfig(source=str(write("data.csv", "text,label\na,b\n")), test_source="/gone.csv"),
            CLASSIFY,
            cache=cache,
        )


def test_dropped_rows_are_told_with_row_line_and_reason(table, cache) -> None:
    report = check(table([("", "good"), *reviews(60), ("text", "")]), CLASSIFY, cache=cache)
    empty = finding(report, "dropped_empty")
    assert empty.message == "1 of 62 rows left out: an empty cell."
    assert "row 1 (line 2): column 'text' is empty" in empty.where
    assert report.ok


def test_a_giant_cell_is_left_out_with_its_size(table, cache) -> None:
    report = check(table([*reviews(60), ("z" * 10_000_000, "good")]), CLASSIFY, cache=cache)
    assert "row 61 (line 62): column 'text' has 10,000,000 characters" in finding(report, "dropped_too_long").where
    assert report.ok


def test_rows_of_the_wrong_encoding_are_an_error_when_they_are_many(write, cache) -> None:
    rows = "text,label\n" + "".join(f"größer {index},{'ab'[index % 2]}\n" for index in range(60))
    plain = "".join(f"a perfectly plain row of text number {index},{'ab'[index % 2]}\n" for index in range(400))
    many = DataConfig(source=str(write("many.csv", rows + "".join(plain[:4000]), "latin-1")), encoding="utf-8")
    report = check(many, CLASSIFY, cache=cache)
    assert codes(report)["dropped_encoding"] == "error"
    few = DataConfig(source=str(write("few.csv", (rows + plain).encode() + b"bad \xff,a\n")))
    assert codes(check(few, CLASSIFY, cache=cache))["dropped_encoding"] == "warning"


def test_duplicates_and_conflicts_are_named(table, cache) -> None:
    rows = [*reviews(60), reviews(60)[3], (reviews(60)[4][0], "bad")]
    report = check(table(rows), CLASSIFY, cache=cache)
    assert report.duplicates == {"count": 2, "rows": [[61, 4], [62, 5]], "conflicts": 1, "conflict_rows": [[62, 5]]}
    assert codes(report) | {"duplicates": "warning", "conflicts": "warning"} == codes(report)


def test_labels_that_occur_once_and_imbalance(table, cache) -> None:
    report = check(
        table([*(("row " + str(index), "good") for index in range(80)), ("x", "odd"), ("y", "bad"), ("z", "bad")]),
        CLASSIFY,
        cache=cache,
    )
    assert finding(report, "rare_labels").where == "odd"
    assert "good" in finding(report, "imbalance").message
    assert report.ok


def test_numbers_as_labels_are_suspected(table, cache) -> None:
    report = check(table([(f"text {index}", str(index // 2)) for index in range(100)]), CLASSIFY, cache=cache)
    assert codes(report)["many_labels"] == "warning"


def test_cut_texts_are_counted_exactly(table, cache, small_model) -> None:
    rows = [("film " * (9 if index < 10 else 6) + str(index % 10), "ab"[index % 2]) for index in range(100)]
    report = check(table(rows), CLASSIFY, small_model, 11, cache=cache)
    # Nine words, a digit and two special tokens are 12 sub-words.
    assert (report.lengths["cut_rows"], report.lengths["cut_share"], report.lengths["max"]) == (10, 0.1, 12)
    assert codes(report)["cut"] == "warning"
    assert report.lengths["unit"] == "sub-words"


def test_long_sentences_are_windows_not_cuts(write, cache, small_model) -> None:
    text = "\n".join("film O\n" * 30 + f"number B-X\nwas O\n{'abcdefgh'[index % 8]} O\n" for index in range(60))
    report = check(DataConfig(source=str(write("data.conll", text))), TAG, small_model, 16, cache=cache)
    assert codes(report)["windows"] == "note"
    assert "cut" not in codes(report)


def test_illegal_tags_are_named(write, cache) -> None:
    text = "a B-X\nb I-X\n\n" * 3 + "c O\nd I-X\n\n"
    report = check(DataConfig(source=str(write("data.conll", text))), TAG, cache=cache)
    assert "row 4 (line 10), column '2', word 2: 'I-X' follows 'O'" in finding(report, "illegal_tags").where


def test_entity_types_are_counted_as_entities(write, cache) -> None:
    text = "a B-X\nb I-X\nc B-Y\nd O\n\n" * 2
    report = check(DataConfig(source=str(write("data.conll", text)), gate_share=0, test_share=0), TAG, cache=cache)
    assert [(entry["label"], entry["count"]) for entry in report.labels] == [("X", 2), ("Y", 2)]
    assert codes(report)["no_gate"] == "warning"


def test_chinese_text_with_an_english_vocabulary_is_warned_about(write, cache, small_model) -> None:
    rows = "".join(f"这本书写得很好第{index}次,{'ab'[index % 2]}\n" for index in range(60))
    report = check(DataConfig(source=str(write("data.csv", "text,label\n" + rows))), CLASSIFY, small_model, cache=cache)
    assert codes(report)["language"] == "warning"
    assert report.pieces["unknown_share"] > 0.5
    assert "这" in report.pieces["examples"]
    assert report.ok


def test_unknown_signs_are_warned_about(table, cache, small_model) -> None:
    rows = [(f"film {index} was fine ☃", "ab"[index % 2]) for index in range(60)]
    report = check(table(rows), CLASSIFY, small_model, cache=cache)
    assert "☃" in finding(report, "unknown_pieces").where


def test_html_is_kept_as_text_and_mentioned(table, cache) -> None:
    rows = [(f"<script>alert({index})</script> text", "ab"[index % 2]) for index in range(60)]
    data = table(rows)
    assert codes(check(data, CLASSIFY, cache=cache))["markup"] == "note"
    assert load_roles(data, CLASSIFY, cache=cache).train[0]["text"].startswith("<script>")


def test_without_a_tokenizer_lengths_are_in_characters(table, cache, tmp_path) -> None:
    report = check(table(reviews(60)), CLASSIFY, tmp_path, cache=cache)
    assert report.lengths["unit"] == "characters"
    assert report.lengths["cut_share"] is None
    assert codes(report)["no_tokenizer"] == "note"


def test_pairs_and_multi_label_are_checked(write, cache, small_model) -> None:
    rows = [
        {"premise": f"film {index}", "hypothesis": "was fine", "label": ["a", "b"][: index % 3]} for index in range(60)
    ]
    data = DataConfig(source=str(write("data.jsonl", "\n".join(map(json.dumps, rows)))))
    report = check(data, TaskConfig(multi_label=True), small_model, cache=cache)
    assert report.ok
    assert report.lengths["checked"] == 60
    assert [entry["count"] for entry in report.labels] == [40, 20]
    assert "text_pair" in load_roles(data, TaskConfig(multi_label=True), cache=cache).train.column_names


def test_a_vocabulary_file_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film"]))
    tokenizer = load_tokenizer(tmp_path)
    found = count_pieces(["Film film", "film zzz"], tokenizer)
    assert found.lengths == [4, 4]
    assert (found.unknown, found.total) == (1, 4)


@pytest.mark.parametrize("values", [[1], [3, 3, 3], [1, 2, 3, 1000], list(range(500))])
def test_the_histogram_counts_every_value_once(values: list[int]) -> None:
    found = histogram(values)
    assert sum(found["counts"]) == len(values)
    assert len(found["edges"]) == len(found["counts"]) + 1 <= 32
    assert found["edges"] == sorted(set(found["edges"]))


def test_the_preview_shows_rows_mapping_and_problems(write) -> None:
    file = write(
        "data.csv",
        "id,text,label\n1,<b>bold</b>,x\n2,,y\n3,plain\n" + "".join(f"{i},text {i},x\n" for i in range(4, 60)),
    )
    found = preview(DataConfig(source=str(file)), CLASSIFY, rows=5)
    assert found["columns"] == ["id", "text", "label"]
    assert found["rows"][0] == {"id": "1", "text": "<b>bold</b>", "label": "x"}
    assert len(found["rows"]) == 5
    assert found["numbers"] == [1, 2, 4, 5, 6]
    assert found["mapping"] == {"text": "text", "label": "label"}
    assert (found["format"], found["encoding"]) == ("csv", "utf-8")
    assert found["problems"] == [
        "Row 2 (line 3): left out: column 'text' is empty.",
        "Row 3 (line 4): left out: it has 2 cells instead of 3.",
    ]
    json.dumps(found)


def test_the_preview_shows_columns_even_if_none_fits(write) -> None:
    found = preview(DataConfig(source=str(write("data.csv", "a,b\n1,2\n3,4\n")), columns=Columns(text="c")), CLASSIFY)
    assert found["mapping"] == {}
    assert found["rows"] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert "no column 'c'" in found["problems"][0]


def test_the_preview_of_giant_and_strange_cells_is_small_and_json(tmp_path, write) -> None:
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table(
            {
                "text": ["x" * 10_000_000, "y"],
                "label": [b"\xff\x00", b"b"],
                "when": [datetime.date(2020, 1, 1)] * 2,
                "words": [["w"] * 500, []],
            }
        ),
        tmp_path / "data.parquet",
    )
    found = preview(DataConfig(source=str(tmp_path / "data.parquet")), CLASSIFY)
    assert len(json.dumps(found)) < 5000
    raw = b"text,label\n" + b"bad \xff byte,x\n" + "größer und schöner,y\n".encode() * 40
    json.dumps(preview(DataConfig(source=str(write("raw.csv", raw))), CLASSIFY)).encode()


def test_the_preview_reads_only_the_head(write, monkeypatch) -> None:
    from core.data.readers import tables

    read = 0
    original = tables._rows

    def counted(*args):
        nonlocal read
        for row in original(*args):
            read += 1
            yield row

    monkeypatch.setattr(tables, "_rows", counted)
    preview(DataConfig(source=str(write("data.csv", "text,label\n" + "some text,a\n" * 50_000))), CLASSIFY)
    assert read <= 1000


def test_the_package_is_light() -> None:
    import subprocess
    import sys

    heavy = ("torch", "transformers", "datasets", "pandas", "pyarrow", "numpy")
    code = f"import core.data, core.data.samples, sys; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
        == "[]"
    )


def test_checking_imports_no_torch(write, cache) -> None:
    import subprocess
    import sys

    file = write("data.csv", "text,label\n" + "".join(f"text {index},{'ab'[index % 2]}\n" for index in range(60)))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from core.config import DataConfig, TaskConfig\nfrom core.data import check\n"
        "check(DataConfig(source=sys.argv[1]), TaskConfig(), cache=Path(sys.argv[2]))\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(cache)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
