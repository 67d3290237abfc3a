"""CSV, TSV, JSON lines, Parquet: what is read, and what is said about rows that are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import Columns, DataConfig
from core.data import table as table_module
from core.data.readers import RawRow, Source, open_source
from core.data.table import prepare
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY, TAG


def read(file: Path, task=CLASSIFY, **fields: object) -> tuple[object, list]:
    source = open_source(DataConfig(source=str(file), **fields), task)  # type: ignore[arg-type]
    return source, list(source.rows())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(write, delimiter: str) -> None:
    rows = "\n".join(delimiter.join(cells) for cells in (("text", "label"), ("one; two, three", "a"), ("four", "b")))
    if delimiter in ",;":
        rows = rows.replace("one; two, three", '"one; two, three"')
    source, found = read(write("data.csv", rows))
    assert source.details["delimiter"] == delimiter
    assert [row.values for row in found] == [{"text": "one; two, three", "label": "a"}, {"text": "four", "label": "b"}]


def test_quotes_line_breaks_and_html_stay_in_the_cell(write) -> None:
    _, found = read(write("data.csv", 'text,label\r\n"He said ""hi"",\r\n<b>twice</b>",x\r\nplain,y\r\n'))
    assert found[0].values == {"text": 'He said "hi",\r\n<b>twice</b>', "label": "x"}
    assert [(row.number, row.line) for row in found] == [(1, 2), (2, 4)]


def test_ragged_rows_are_named_and_the_rest_is_read(write) -> None:
    _, found = read(write("data.csv", "text,label\na,1\nb\nc,2,3\n\nd,4\n"))
    assert [(row.number, row.line, row.problem) for row in found if row.problem] == [
        (2, 3, "it has 1 cell instead of 2"),
        (3, 4, "it has 3 cells instead of 2"),
    ]
    assert [row.values["text"] for row in found if row.values] == ["a", "d"]


def test_an_unclosed_quote_is_told_where_it_opens(write) -> None:
    rows = "".join(f"row {index},x\n" for index in range(20))
    _, found = read(write("data.csv", f'text,label\n{rows}"open,x\n{rows}'))
    last = found[-1]
    assert last.problem is not None
    assert last.line == 22
    assert "quote may not be closed" in last.problem


def test_a_tsv_without_quoting_keeps_its_quotes(write) -> None:
    rows = 'text\tlabel\n"Yes, he said\tx\nno" more\ty\n' + "plain\tx\n" * 5
    _, found = read(write("data.tsv", rows))
    assert [row.values["text"] for row in found[:2] if row.values] == ['"Yes, he said', 'no" more']


def test_a_tsv_with_quoting_is_unquoted(write) -> None:
    _, found = read(write("data.tsv", 'text\tlabel\n"a ""b"" c"\tx\nplain\ty\n'))
    assert found[0].values == {"text": 'a "b" c', "label": "x"}


def test_double_and_empty_headers_get_names(write) -> None:
    source, _ = read(write("data.csv", "text,,text,label\na,b,c,d\n"))
    assert source.columns == ["text", "column 2", "text (3)", "label"]


def test_columns_by_number_mean_that_there_is_no_header(write) -> None:
    source, found = read(write("data.tsv", "good film\tpos\nbad film\tneg\n"), columns=Columns(text="1", label="2"))
    assert source.columns == ["1", "2"]
    assert len(found) == 2


def test_a_web_page_is_no_table(write) -> None:
    with pytest.raises(DataError, match="not a table"):
        read(write("page.csv", "<!doctype html>\n<html><body><p>Hello, world</p></body></html>\n"))


def test_prose_is_no_table(write) -> None:
    with pytest.raises(DataError, match="not a table"):
        read(write("story.txt", "Once upon a time.\nThere was a king\nwho had a daughter.\n"))


def test_a_giant_cell_does_not_stop_reading(write) -> None:
    _, found = read(write("data.csv", f"text,label\na,x\n{'z' * 10_000_000},y\nb,x\n"))
    assert [len(row.values["text"]) for row in found if row.values] == [1, 10_000_000, 1]


def test_jsonl_names_lines_that_are_no_objects(write) -> None:
    rows = ['{"text": "a", "label": 1}', "not json", "[1, 2]", "", "[" * 100_000, '{"text": "b", "label": 2}']
    _, found = read(write("data.jsonl", "\n".join(rows)))
    assert [(row.number, row.line) for row in found if row.problem] == [(2, 2), (3, 3), (4, 5)]
    assert [row.values for row in found if row.values] == [{"text": "a", "label": 1}, {"text": "b", "label": 2}]


def test_a_json_list_is_told_from_json_lines(write) -> None:
    with pytest.raises(DataError, match="one JSON list"):
        read(write("data.json", json.dumps([{"text": "a", "label": "b"}], indent=1)))


def test_jsonl_is_found_without_its_suffix(write) -> None:
    assert read(write("data", '{"text": "a", "label": "b"}\n'))[0].format == "jsonl"


def test_parquet_is_read_in_batches_with_label_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    rows = Dataset.from_dict(
        {"text": [f"text {index}" for index in range(700)], "label": [index % 2 for index in range(700)]},
        features=Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])}),
    )
    rows.to_parquet(tmp_path / "data.parquet")
    source, found = read(tmp_path / "data.parquet")
    assert source.class_names == {"label": ["no", "yes"]}
    assert len(found) == 700
    assert found[-1].values == {"text": "text 699", "label": 1}


def test_parquet_is_found_by_its_bytes_and_damage_is_told(tmp_path: Path, write) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "data.csv"
    pq.write_table(pa.table({"text": ["a"] * 10, "label": ["b"] * 10}), file)
    assert read(file)[0].format == "parquet"
    with pytest.raises(DataError, match="Parquet"):
        read(write("broken.parquet", file.read_bytes()[:-20]))
    with pytest.raises(DataError, match="Parquet"):
        read(write("empty.parquet", b"PAR1PAR1"))
    with pytest.raises(DataError, match="This is a Parquet file"):
        read(file, format="csv")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}), tmp_path / "none.parquet"
    )
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "text,label\na,b\n", "csv"),
        ("a.tsv", "text\tlabel\na\tb\n", "tsv"),
        ("a.txt", "text\tlabel\na\tb\nc\td\n", "tsv"),
        ("a.txt", "a O\nb B-X\n\nc O\n", "conll"),
        ("a.bio", "a\tO\n\nb\tB-X\n", "conll"),
        ("a.conll", "1\ta\ta\tX\tX\t_\t0\tr\t_\t_\n", "conllu"),
        ("a.dat", "# text = a\n1\ta\ta\tX\tX\t_\t0\tr\t_\t_\n\n", "conllu"),
    ],
)
def test_the_format_is_found_by_name_and_content(write, name: str, content: str, form: str) -> None:
    assert read(write(name, content), TAG)[0].format == form


def test_a_sample_without_labels_is_refused_for_training() -> None:
    from core.data.samples import sample

    try:
        sample("plots")
    except DataError:
        pytest.skip("samples are not downloaded")
    with pytest.raises(DataError, match="plain text without labels"):
        open_source(DataConfig(source="plots"), CLASSIFY)
    with pytest.raises(DataError, match="tagging"):
        open_source(DataConfig(source="tweets"), CLASSIFY)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_an_unreachable_hub_is_told_quickly(offline: str) -> None:
    """Quickly: it is not asked again and again, with pauses in between."""
    import os
    import subprocess
    import sys

    code = (
        "import time\npauses = []\ntime.sleep = pauses.append\n"
        "from core.config import DataConfig, TaskConfig\nfrom core.data.readers import open_source\n"
        "from core.errors import HubError\n"
        "try:\n    open_source(DataConfig(source='hub:someone/nothing'), TaskConfig())\n"
        "except HubError as error:\n    print(error.message())\n    print(sum(pauses))\n"
    )
    env = dict(os.environ, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=offline)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=200)
    assert "hub:someone/nothing" in done.stdout, done.stderr
    assert "bundled sample" in done.stdout
    assert float(done.stdout.split()[-1]) < 5


def test_huge_rows_shorten_the_head_that_is_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    given = 0

    def rows() -> Iterator[RawRow]:
        nonlocal given
        for given in range(1, 1001):
            yield RawRow(given, given, {"text": "x" * 1000, "label": "ab"[given % 2]})

    source = Source("made", "csv", "utf-8", ["text", "label"], rows)
    _, head = prepare(source, DataConfig(), CLASSIFY)
    assert (len(head), given) == (500, 500)
    monkeypatch.setattr(table_module, "_HEAD_CHARACTERS", 10_000)
    _, head = prepare(source, DataConfig(), CLASSIFY)
    assert (len(head), given) == (10, 10)
