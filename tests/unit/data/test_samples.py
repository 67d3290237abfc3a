"""The bundled samples: the catalogue without them, and their rows with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from core.config import DataConfig, TaskConfig
from core.data.sample_rows import names_from_marks, read_sample
from core.data.samples import bundled_model_folder, main, sample, samples, spacy_pipeline_folder, verify
from core.errors import DataError, ModelError
from tests.unit.data.conftest import CLASSIFY, TAG

there = all(info.available for info in samples())
needs_samples = pytest.mark.skipif(not there, reason="`make samples` has not been called")


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTLOOM_SAMPLES", str(tmp_path / "none"))
    return tmp_path / "none"


def test_the_catalogue_is_there_without_the_files(nothing) -> None:
    assert [info.name for info in samples() if not info.derived] == [
        "reviews", "plots", "headlines", "tweets", "zh-reviews", "zh-news",
    ]  # fmt: skip
    derived = [info for info in samples() if info.derived]
    assert [info.name for info in derived] == ["tweet-persons", "tweet-questions", "plot-cloze", "zh-news-questions"]
    assert all("derived" in info.title and info.about.startswith("Derived") for info in derived)
    assert not any(info.available for info in samples())
    assert all(info.rows > 1000 and info.licence and info.about for info in samples())
    with pytest.raises(DataError, match="not downloaded") as caught:
        sample("reviews")
    assert "make samples" in str(caught.value.advice)


def test_models_that_are_not_there_say_what_to_do(nothing) -> None:
    for find in (bundled_model_folder, spacy_pipeline_folder):
        with pytest.raises(ModelError, match="not downloaded") as caught:
            find()
        assert "make samples" in str(caught.value.advice)


def test_verify_and_check_tell_what_is_missing(nothing, capsys) -> None:
    findings = verify()
    assert len(findings) == 6
    assert not any(finding["ok"] for finding in findings)
    assert all("make samples" in finding["advice"] for finding in findings)
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.count("NOT") == 6


def test_an_unknown_sample_is_named() -> None:
    with pytest.raises(DataError, match="'book'"):
        sample("book")


def test_people_of_two_words_are_joined() -> None:
    pairs = [
        ("江", "nr"),
        ("泽民", "nr"),
        ("、", "w"),
        ("李", "nr"),
        ("鹏", "nr"),
        ("克林顿", "nr"),
        ("欧阳", "nr"),
        ("海", "nr"),
    ]
    assert names_from_marks(pairs) == ["B-PER", "I-PER", "O", "B-PER", "I-PER", "B-PER", "B-PER", "I-PER"]
    assert names_from_marks([("中国", "ns"), ("新华社", "nt"), ("江", "nr")]) == ["B-LOC", "B-ORG", "B-PER"]
    assert names_from_marks([("杜", "nr"), ("中武", "nr"), ("孙", "nr"), ("传刚", "nr")]) == ["B-PER", "I-PER"] * 2


@needs_samples
def test_every_sample_is_intact() -> None:
    assert [finding for finding in verify() if not finding["ok"]] == []
    assert main([]) == 0


@needs_samples
def test_changed_weights_are_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("core.data.samples.MODEL_SHA256", "0" * 64)
    assert [finding["name"] for finding in verify() if not finding["ok"]] == ["bundled encoder"]


@needs_samples
@pytest.mark.parametrize("name", ["reviews", "plots", "headlines", "tweets", "zh-reviews", "zh-news"])
def test_rows_are_as_many_as_told_distinct_and_not_empty(name: str) -> None:
    rows = list(read_sample(name))
    assert len(rows) == sample(name).rows
    texts = [row["text"] if "text" in row else "\x1f".join(row["tokens"]) for row in rows]
    assert len(set(texts)) == len(texts)
    assert all(text.strip() for text in texts)


@needs_samples
def test_reviews_are_divided_as_told_in_the_documents(cache) -> None:
    from core.data.roles import load_roles

    roles = load_roles(DataConfig(source="reviews", train_rows=2000), CLASSIFY, cache=cache)
    assert roles.labels == ["fresh", "rotten"]
    assert (len(roles.train), len(roles.gate), len(roles.test)) == (2000, 1275, 1275)
    assert Counter(roles.test["label"])[0] / 1275 == pytest.approx(0.578, abs=0.001)


@needs_samples
def test_tweets_have_ten_types_and_legal_tags(cache) -> None:
    from core.data.roles import load_roles

    roles = load_roles(DataConfig(source="tweets"), TAG, cache=cache)
    assert len(roles.labels) == 21
    assert roles.labels[:3] == ["O", "B-company", "I-company"]
    assert roles.report["sources"]["train"]["illegal"]["count"] == 0


@needs_samples
@pytest.mark.parametrize(
    ("name", "task"),
    [("plots", CLASSIFY), ("tweets", CLASSIFY), ("reviews", TAG), ("reviews", TaskConfig(multi_label=True))],
)
def test_a_sample_is_refused_for_what_it_has_no_labels_for(cache, name: str, task: TaskConfig) -> None:
    from core.data import check

    with pytest.raises(DataError, match="cannot be used for"):
        check(DataConfig(source=name), task, cache=cache)


@needs_samples
def test_a_preview_of_a_sample_shows_rows_from_all_over_it() -> None:
    from core.data import preview

    shown = preview(DataConfig(source="reviews"), TaskConfig(), rows=10)
    assert len(shown["rows"]) == 10
    assert {row["label"] for row in shown["rows"]} == {"fresh", "rotten"}
    assert shown["numbers"] == sorted(set(shown["numbers"]))
