"""Silver trees by the bundled parser: trees that are read again, named as silver; what has no parser is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.config import DataConfig, TaskConfig
from core.data.roles import load_roles
from core.data.silver_trees import write_silver_trees
from core.errors import DataError

TEXTS = [
    "The old man read the book. It was not very good!",
    "A dog  ran\nthrough the city with its friends.",
    "She said that they would have been there.",
]


def test_sentences_are_parsed_and_read_again_as_silver(tmp_path: Path) -> None:
    source = tmp_path / "texts.jsonl"
    rows = [{"text": text} for text in TEXTS] + [{"text": ["the", "cat", "and  dog", "ran", "."]}, {"text": " "}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    target = tmp_path / "silver.conllu"
    found = CliRunner().invoke(app, ["data", "trees", str(source), "--out", str(target), "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    assert (told["sentences"], "spaCy" in told["parser"]) == (5, True)
    data = DataConfig(source=str(target), gate_share=0, test_share=0)
    roles = load_roles(data, TaskConfig(kind="dependency"), cache=tmp_path / "cache")
    assert len(roles.train) == 5
    assert roles.report["sources"]["train"]["dropped"] == {}
    assert sum(len(row["tokens"]) for row in roles.train) == told["words"]
    assert roles.train[0]["tokens"] == ["The", "old", "man", "read", "the", "book", "."]
    assert roles.train[4]["tokens"] == ["the", "cat", "and dog", "ran", "."]
    assert "root" in roles.labels
    (note,) = [one for one in roles.report["findings"] if one["code"] == "silver_trees"]
    assert told["parser"] in note["message"]
    again = CliRunner().invoke(app, ["data", "trees", str(source), "--out", str(target)])
    assert again.exit_code != 0
    fewer = write_silver_trees(str(source), target, sentences=2)
    assert fewer.sentences == 2


def test_other_languages_and_sources_without_text_are_refused(tmp_path: Path) -> None:
    chinese = tmp_path / "zh.csv"
    chinese.write_text("text\n我是不的很好坏电影\n他看了这电影很好\n", encoding="utf-8")
    with pytest.raises(DataError, match="does not look English"):
        write_silver_trees(str(chinese), tmp_path / "out.conllu")
    empty = tmp_path / "empty.csv"
    empty.write_text("text,label\n ,a\n ,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="No row has a text"):
        write_silver_trees(str(empty), tmp_path / "out.conllu", text="text")
    assert not (tmp_path / "out.conllu").exists()
