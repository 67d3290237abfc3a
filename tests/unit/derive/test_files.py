"""The files of a finetuning set: the same bytes again, readable like any other, and a record beside them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import DataConfig, TaskConfig
from core.config.derive import derive_config
from core.data import load_roles
from core.data.derive import derive, provenance_path, read_provenance, write_derived
from core.data.derive.rows import hash_of
from core.errors import ConfigError, DataError
from tests.unit.derive.conftest import TAGGED, labelled


def write(source: str, out: Path, *steps: str, rest: Path | None = None, sets: list[str] | None = None) -> dict:
    return write_derived(derive(derive_config(source, None, steps, sets or [])), out, rest, overwrite=True)


def test_the_same_source_and_steps_give_the_same_bytes_in_another_process(lines, tmp_path) -> None:
    file = lines(labelled(60))
    steps = ("summaries: {method: central}", "sample: {rows: 20}")
    write(file, tmp_path / "one.jsonl", *steps, sets=["part.share=0.5"])
    before = [path.read_bytes() for path in (tmp_path / "one.jsonl", provenance_path(tmp_path / "one.jsonl"))]
    code = (
        "import sys\nfrom pathlib import Path\nfrom core.config.derive import derive_config\n"
        "from core.data.derive import derive, write_derived\n"
        "done = derive(derive_config(sys.argv[1], None, sys.argv[3:], ['part.share=0.5']))\n"
        "write_derived(done, Path(sys.argv[2]), overwrite=True)\n"
        "assert 'torch' not in sys.modules and 'streamlit' not in sys.modules"
    )
    command = [sys.executable, "-c", code, file, str(tmp_path / "one.jsonl"), *steps]
    subprocess.run(command, check=True, timeout=280)
    after = [path.read_bytes() for path in (tmp_path / "one.jsonl", provenance_path(tmp_path / "one.jsonl"))]
    assert before == after


def test_the_record_tells_everything(lines, tmp_path) -> None:
    file, out = lines(TAGGED), tmp_path / "questions.json"
    told = write(file, out, "entity_questions", "sample: {rows: 3}", sets=["seed=4"])
    found = read_provenance(out)
    assert found is not None
    assert found["fits"]
    assert found["output"] == told["output"] | {"sha256": hashlib.sha256(out.read_bytes()).hexdigest()}
    assert found["source"]["file_sha256"] == hashlib.sha256(Path(file).read_bytes()).hexdigest()
    assert (found["source"]["rows"], found["seed"], found["output"]["rows"]) == (4, 4, 3)
    assert [(step["step"], step["before"], step["after"]) for step in found["steps"]] == [
        ("read", 4, 4), ("entity_questions", 4, 5), ("sample", 5, 3),
    ]  # fmt: skip
    assert found["config"] == {
        "source": file, "seed": 4, "steps": [{"entity_questions": {}}, {"sample": {"rows": 3}}],
    }  # fmt: skip
    assert len(found["rows"]) == 3
    for row, hashes in found["rows"]:
        assert hash_of(" ".join(TAGGED[row - 1]["tokens"])) in hashes
    again = derive_config(None, None, sets=[f"{key}={json.dumps(value)}" for key, value in found["config"].items()])
    assert [item.values["id"] for item in derive(again).items] == [
        question["id"] for paragraph in json.loads(out.read_text())["data"][0]["paragraphs"]
        for question in paragraph["qas"]
    ]  # fmt: skip
    out.write_text(out.read_text().replace("Which", "What"))
    changed = read_provenance(out)
    assert changed is not None
    assert not changed["fits"]
    provenance_path(out).write_text('{"rows": ["x"]}')
    with pytest.raises(DataError, match="not one that Bertloom wrote"):
        read_provenance(out)


def test_rows_that_cannot_be_read_are_in_the_record(lines, tmp_path) -> None:
    write(lines([{"text": "", "label": "a"}, *labelled(2)]), tmp_path / "out.jsonl")
    found = read_provenance(tmp_path / "out.jsonl")
    assert found is not None
    assert found["steps"][0]["dropped"]["empty"]["rows"] == "1"
    assert (found["steps"][0]["before"], found["steps"][0]["after"]) == (3, 2)


@pytest.mark.parametrize("name", ["questions.json", "questions.jsonl"])
def test_questions_are_read_again_in_both_formats(lines, tmp_path, cache, name: str) -> None:
    write(lines(TAGGED), tmp_path / name, "entity_questions")
    task = TaskConfig(kind="question_answering", no_answer=True)
    roles = load_roles(DataConfig(source=str(tmp_path / name), gate_share=0, test_share=0), task, cache=cache)
    assert roles.train["answers"][:] == [["Anna Berg"], ["Oslo"], ["Paul"], [], ["Rome"]]
    assert roles.train["starts"][:] == [[0], [15], [12], [], [3]]
    assert not [finding for finding in roles.report["findings"] if finding["level"] == "error"]


def test_the_rest_is_read_like_the_source(lines, tmp_path, cache) -> None:
    write(
        lines(TAGGED * 1), tmp_path / "part.jsonl", rest=tmp_path / "rest.jsonl", sets=["part.first=1", "part.last=3"]
    )
    data = DataConfig(source=str(tmp_path / "rest.jsonl"), gate_share=0, test_share=0)
    assert load_roles(data, TaskConfig(kind="tagging"), cache=cache).train["tokens"][:] == [TAGGED[3]["tokens"]]


def test_a_derived_set_can_be_derived_from_and_remembers_the_first_source(lines, tmp_path) -> None:
    text = "One day came. Two days went."
    write(
        lines([{"text": text, "label": "a"}, {"text": "Other. Words.", "label": "b"}]),
        tmp_path / "a.jsonl",
        "summaries",
    )
    write(str(tmp_path / "a.jsonl"), tmp_path / "b.jsonl", "filter: {pattern: day}")
    (row,) = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert row == {
        "text": "One day came.", "label": "a", "source_row": 1,
        "source_hash": [hash_of("One day came."), hash_of(text)],
    }  # fmt: skip


def test_names_that_would_harm_are_refused(lines, tmp_path) -> None:
    file = lines(labelled(4))
    done = derive(derive_config(file, None))
    for out, words in (
        (Path(file), "its own source"),
        (tmp_path / "out.csv", "tells no format"),
        (tmp_path / "out.json", "Only questions"),
    ):
        with pytest.raises(ConfigError, match=words):
            write_derived(done, out, overwrite=True)
    with pytest.raises(ConfigError, match="no rest"):
        write_derived(done, tmp_path / "out.jsonl", tmp_path / "rest.jsonl")
    write_derived(done, tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="there already"):
        write_derived(done, tmp_path / "out.jsonl")
