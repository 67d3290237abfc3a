"""Trees from CoNLL-U and tables: what is read, what is left out with its line, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.config import DataConfig, TaskConfig
from core.data.check import check
from core.data.preview import preview
from core.data.readers.base import UnusableData
from core.data.roles import load_roles
from core.data.tree_rows import MOST_WORDS
from core.errors import DataError
from tests.unit.dependency.conftest import conllu

GOOD = conllu(["the", "dog", "ran"], [2, 3, 0], ["det", "nsubj", "root"])


def write(folder: Path, text: str, name: str = "trees.conllu") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def looked(source: str, tmp_path: Path, columns: dict[str, str] | None = None, **task: Any) -> Any:
    data = DataConfig.model_validate({"source": source, "gate_share": 0, "test_share": 0, "columns": columns or {}})
    return check(data, TaskConfig.model_validate({"kind": "dependency", **task}), cache=tmp_path / "cache")


def loaded(source: str, tmp_path: Path, columns: dict[str, str] | None = None, **task: Any) -> Any:
    data = DataConfig.model_validate({"source": source, "gate_share": 0, "test_share": 0, "columns": columns or {}})
    return load_roles(data, TaskConfig.model_validate({"kind": "dependency", **task}), cache=tmp_path / "cache")


def test_trees_are_read_without_ranges_and_empty_nodes_which_are_counted(tmp_path: Path) -> None:
    text = (
        "# text = don't go\n1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n1\tdo\t_\t_\t_\t_\t3\taux\t_\t_\n"
        "2\tn't\t_\t_\t_\t_\t3\tadvmod:neg\t_\t_\n2.1\tnull\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "3\tgo\t_\t_\t_\t_\t0\troot\t_\t_\n\n"
    )
    source = write(tmp_path, text + GOOD)
    roles = loaded(source, tmp_path)
    first = roles.train[0]
    assert (first["tokens"], first["heads"]) == (["do", "n't", "go"], [3, 3, 0])
    assert [roles.labels[at] for at in first["relations"]] == ["aux", "advmod:neg", "root"]
    assert roles.labels == sorted(roles.labels)
    found = {one["code"]: one for one in roles.report["findings"]}
    assert found["ranges"]["message"].startswith("1 ranges")
    assert "row 1 (line 2): 1 of them" in found["ranges"]["where"]
    assert found["empty_nodes"]["message"].startswith("1 empty nodes")


BAD = {
    "two_roots": (["a", "b", "c"], [0, 1, 0], "line 7: word 3 ('c') is a second root, after word 1"),
    "circle": (["a", "b", "c"], [0, 3, 2], "line 6: word 2 ('b') is its own ancestor: the heads go in a circle (2 → 3"),
    "no_root": (["a", "b"], [2, 1], "no word has the head 0; line 5: word 1 ('a') has the head 2"),
    "bad_head": (["a", "b"], [0, 7], "line 6: word 2 ('b') has the head 7, and the sentence has 2 words"),
    "no_tree": (["a", "b"], ["_", "_"], "its heads are all '_'"),
}


@pytest.mark.parametrize("reason", sorted(BAD))
def test_a_sentence_that_is_no_tree_is_left_out_and_named_by_its_line(tmp_path: Path, reason: str) -> None:
    words, heads, told = BAD[reason]
    source = write(tmp_path, GOOD + conllu(words, heads, ["dep"] * len(words)) + GOOD.replace("dog", "cat"))
    report = looked(source, tmp_path)
    assert report.ok
    assert report.roles["train"]["rows"] == 2
    (entry,) = [one for one in report.findings if one.code == f"dropped_{reason}"]
    assert "trees.conllu, row 2 (line 5): " in entry.where
    assert told in entry.where
    assert (reason in ("two_roots", "circle", "no_root")) == ("no_trees" in {one.code for one in report.findings})


@pytest.mark.parametrize(
    ("head", "told"),
    [("x", "has the head 'x', which is no number from 0"), ("-1", "has the head '-1'"), ("1.5", "has the head '1.5'"),
     ("2", "line 6: word 2 ('b') is its own head"), ("_", "has the head '_'")],
)  # fmt: skip
def test_heads_that_are_none_are_named(tmp_path: Path, head: str, told: str) -> None:
    source = write(tmp_path, GOOD + conllu(["a", "b"], [0, head], ["root", "dep"]))
    (entry,) = [one for one in looked(source, tmp_path).findings if one.code.startswith("dropped_")]
    assert told in entry.where


def test_words_that_are_not_numbered_in_order_are_named(tmp_path: Path) -> None:
    source = write(tmp_path, GOOD + conllu(["a", "b"], [0, 1], ["root", "dep"]).replace("2\tb", "3\tb"))
    (entry,) = [one for one in looked(source, tmp_path).findings if one.code == "dropped_numbering"]
    assert "line 6: word 2 ('b') has the number '3' instead of 2" in entry.where


def test_relations_must_be_there_and_sentences_of_a_bearable_length(tmp_path: Path) -> None:
    long = conllu(["a"] * (MOST_WORDS + 1), [0, *range(1, MOST_WORDS + 1)], ["dep"] * (MOST_WORDS + 1))
    source = write(tmp_path, GOOD + conllu(["a", "b"], [0, 1], ["root", "_"]) + long)
    found = {one.code: one for one in looked(source, tmp_path).findings}
    assert "line 6: word 2 ('b') has no relation" in found["dropped_no_relation"].where
    assert "it has 501 words; 500 is the most" in found["dropped_many_words"].where
    assert looked(source, tmp_path, relations=False).sources["train"]["kept"] == 2


def test_where_nothing_is_a_tree_the_first_sentence_says_why(tmp_path: Path) -> None:
    report = looked(write(tmp_path, conllu(["a", "b"], [0, 0], ["root", "root"])), tmp_path)
    assert not report.ok
    assert "line 2: word 2 ('b') is a second root" in report.findings[0].where
    assert "the words of a sentence and their heads" in report.findings[0].advice


def test_tables_of_pointers_need_no_relations_and_no_trees(tmp_path: Path) -> None:
    rows = [
        {"words": ["anna", "berg", "ran"], "targets": [1, 1, 0]},
        {"words": ["she", "ran"], "targets": ["0", 0.0]},
        {"words": ["he"], "targets": [2]},
        {"words": ["he", "ran"], "targets": [1]},
        {"words": ["he", "ran"], "targets": [True, 0]},
        {"words": ["a", "man"], "targets": [2, 0]},
        {"words": ["a", "city"], "targets": [0, 0]},
    ]
    source = write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "pointers.jsonl")
    roles = loaded(source, tmp_path, tree=False, relations=False)
    assert [row["heads"] for row in roles.train] == [[1, 1, 0], [0, 0], [2, 0], [0, 0]]
    assert roles.labels == ["none", "word"]
    assert [row["relations"] for row in roles.train] == [[1, 1, 0], [0, 0], [1, 0], [0, 0]]
    dropped = roles.report["sources"]["train"]["dropped"]
    assert {reason: [one["row"] for one in entry["rows"]] for reason, entry in dropped.items()} == {
        "bad_head": [3, 5], "length": [4],
    }  # fmt: skip
    trees = looked(source, tmp_path, relations=False)
    assert not trees.ok
    with pytest.raises(UnusableData, match="relations"):
        loaded(source, tmp_path, tree=False)


def test_cells_may_spell_their_lists_and_columns_may_have_any_name(tmp_path: Path) -> None:
    text = 'sent,up,what\nthe dog ran,2 3 0,det nsubj root\n"[""a"", ""cat""]","[2, 0]","[""det"", ""root""]"\n'
    source = write(tmp_path, text, "trees.csv")
    columns = {"tokens": "sent", "heads": "up", "relations": "what"}
    roles = loaded(source, tmp_path, columns)
    assert [row["heads"] for row in roles.train] == [[2, 3, 0], [2, 0]]
    seen = preview(DataConfig.model_validate({"source": source, "columns": columns}), TaskConfig(kind="dependency"))
    assert seen["mapping"] == columns
    assert seen["problems"] == []


def test_columns_of_plain_conll_are_named_by_number(tmp_path: Path) -> None:
    source = write(tmp_path, "the 2 det\ndog 0 root\n\na 2 det\ncat 0 root\n", "trees.conll")
    roles = loaded(source, tmp_path, {"heads": "2", "relations": "3"})
    assert roles.train[0]["tokens"] == ["the", "dog"]
    with pytest.raises(UnusableData, match="No column for heads"):
        loaded(source, tmp_path)


def test_heads_that_point_nowhere_are_told(tmp_path: Path) -> None:
    source = write(tmp_path, '{"tokens": ["a", "b"], "heads": [0, 0]}\n', "none.jsonl")
    assert "nothing_points" in {one.code for one in looked(source, tmp_path, tree=False, relations=False).findings}


def test_a_relation_that_only_gate_rows_have_is_told_and_no_error(tmp_path: Path) -> None:
    train, gate = (
        write(tmp_path, GOOD),
        write(tmp_path, GOOD.replace("det", "det:rare").replace("dog", "cat"), "g.conllu"),
    )
    data = DataConfig.model_validate({"source": train, "gate_source": gate, "test_share": 0, "gate_share": 0})
    roles = load_roles(data, TaskConfig(kind="dependency"), cache=tmp_path / "cache")
    assert roles.gate[0]["relations"][0] == -1
    (finding,) = [one for one in roles.report["findings"] if one["code"] == "unknown_label"]
    assert finding["level"] == "warning"
    assert "'det:rare'" in finding["message"]


def test_samples_have_no_trees_and_say_where_some_come_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bertloom data trees") as caught:
        looked("reviews", tmp_path)
    assert caught.value.expected == "a CoNLL-U file, or a table with heads"


def test_the_reading_settings_are_part_of_the_cache(tmp_path: Path) -> None:
    source = write(tmp_path, GOOD + conllu(["a", "b"], [0, 0], ["root", "root"]))
    assert len(loaded(source, tmp_path).train) == 1
    assert len(loaded(source, tmp_path, tree=False).train) == 2
    assert loaded(source, tmp_path, relations=False).labels == ["none", "word"]
