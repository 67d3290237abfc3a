"""Questions derived from tagged sentences and from plain texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import DataConfig, TaskConfig
from core.data.derived import BLANK, cloze_questions, entity_questions, names_in
from core.data.roles import load_roles
from core.data.sample_rows import read_sample
from core.data.samples import sample, samples

needs_samples = pytest.mark.skipif(
    not all(info.available for info in samples()), reason="`make samples` has not been called"
)


def test_all_names_of_a_type_are_right_answers() -> None:
    words = ["Anna", "Berg", "and", "Paul", "left", "Oslo"]
    tags = ["B-person", "I-person", "O", "B-person", "O", "B-geo-loc"]
    rows = [(4, words, tags), (5, ["nobody", "came"], ["O", "O"]), (6, ["Paul", "ran"], ["B-person", "O"])]
    found = [row.values for row in entity_questions(rows, "en", joint=" ")]
    assert found[0] == {
        "id": "4-person", "question": "Which person is named?", "context": "Anna Berg and Paul left Oslo",
        "answers": ["Anna Berg", "Paul"], "start": [0, 14], "is_impossible": False,
    }  # fmt: skip
    assert [row["id"] for row in found if row][:3] == ["4-person", "4-geo-loc", "6-person"]
    last = found[3]
    assert last is not None
    assert (last["answers"], last["start"], last["is_impossible"]) == ([], [], True)  # every second sentence
    assert last["context"] == "Paul ran"
    assert "person" not in last["id"]
    assert len(found) == 4


def test_chinese_words_are_joined_without_spaces() -> None:
    (row,) = entity_questions([(1, ["江", "泽民", "到", "北京"], ["B-PER", "I-PER", "O", "O"])], "zh", joint="")
    assert row.values is not None
    assert (row.values["context"], row.values["answers"], row.values["start"]) == ("江泽民到北京", ["江泽民"], [0])


def test_a_type_without_a_question_is_not_asked_for() -> None:
    assert list(entity_questions([(1, ["It"], ["B-other"])], "en", joint=" ")) == []


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Then came Anna with Paul to New York.", ["Anna", "Paul", "New York"]),
        ("Anna ran.", []),  # it begins the sentence
        ('"Anna ran to Berlin.', ["Berlin"]),
        ("In 1999 I saw Jean-Luc.", ["Jean-Luc"]),
        ("the USA won", []),
    ],
)
def test_names_are_capitalised_words_within_a_sentence(sentence: str, names: list[str]) -> None:
    assert names_in(sentence) == names


def test_gaps_are_asked_about_in_one_context() -> None:
    text = "A man named Simon lives in Rome. One day Simon leaves. There is Mia in Rome. The End is near. He is Simon."
    found = [row.values for row in cloze_questions([(3, text)])]
    assert all(row is not None for row in found)
    asked = [row for row in found if row is not None]
    assert [(row["id"], row["question"], row["answers"]) for row in asked] == [
        ("3-1", f"A man named {BLANK} lives in Rome.", ["Simon"]),
        ("3-2", f"One day {BLANK} leaves.", ["Simon"]),
    ]  # fmt: skip
    assert {row["context"] for row in asked} == {"There is Mia in Rome. The End is near. He is Simon."}
    assert all(row["context"][row["start"][0] :].startswith("Simon") for row in asked)
    assert list(cloze_questions([(1, "No name here. None there.")])) == []


@needs_samples
@pytest.mark.parametrize(("name", "silent"), [("tweet-questions", 391), ("plot-cloze", 0), ("zh-news-questions", 5907)])
def test_derived_samples_are_as_told(name: str, silent: int) -> None:
    rows = list(read_sample(name))
    assert len(rows) == sample(name).rows
    assert sum(row["is_impossible"] for row in rows) == silent
    assert sample(name).settings.get("no_answer", False) == (silent > 0)
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        for answer, start in zip(row["answers"], row["start"], strict=True):
            assert row["context"][start : start + len(answer)] == answer
    if silent:  # the share that the catalogue tells
        assert f"{silent / len(rows):.0%}".replace("%", " %") in sample(name).about


@needs_samples
def test_tweets_divide_by_context(cache: Path) -> None:
    task = TaskConfig(kind="question_answering", no_answer=True)
    roles = load_roles(DataConfig(source="tweet-questions"), task, cache=cache)
    assert sum(len(getattr(roles, role)) for role in ("train", "gate", "test")) == 1362
    assert not set(roles.train["context"]) & set(roles.test["context"])
    assert not [finding for finding in roles.report["findings"] if finding["level"] != "note"]
