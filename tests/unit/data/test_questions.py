"""Questions: SQuAD's JSON and flat columns, answers out of place, roles by context, the check before training."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Columns, DataConfig, TaskConfig
from core.data import check, load_roles, preview
from core.data.answers import given_answers, place_answer
from core.data.readers.open import detect_format, open_source
from core.data.readers.text import inspect_file
from core.errors import DataError

ASK = TaskConfig(kind="question_answering")
ASK2 = TaskConfig(kind="question_answering", no_answer=True)
CONTEXT = "Anna lives in Paris. Paul lives in Oslo."


def squad(paragraphs: list[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"version": "v2.0", "data": [{"title": "T", "paragraphs": paragraphs}], **more})


def asked(question: str, *answers: tuple[str, int], name: str = "q1", **more: Any) -> dict[str, Any]:
    texts = [{"text": text, "answer_start": start} for text, start in answers]
    return {"question": question, "id": name, "answers": texts, **more}


def many(count: int) -> str:
    """Every context has two questions."""
    return squad(
        [
            {
                "context": f"Anna {index} lives in Paris.",
                "qas": [
                    asked("Who?", ("Anna", 0), name=f"a{index}"),
                    asked("Where?", (" Paris", 13 + len(str(index)))),
                ],
            }
            for index in range(count)
        ]
    )


def rows_of(data: DataConfig, task: TaskConfig, cache: Path) -> list[dict[str, Any]]:
    return list(load_roles(data, task, cache=cache).train)


def whole(path: Path, **more: Any) -> DataConfig:
    return DataConfig(source=str(path), gate_share=0, test_share=0, **more)


# -- answers and their places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "starts", "found"),
    [
        ("Paris", 14, [("Paris", 14)]),
        ("Paris", "14", [("Paris", 14)]),
        ("Paris", 14.0, [("Paris", 14)]),
        ("Paris", "", [("Paris", None)]),
        ("Paris", float("nan"), [("Paris", None)]),
        (["Paris", "Oslo"], [14, 35], [("Paris", 14), ("Oslo", 35)]),
        (["Paris", "Oslo"], 14, [("Paris", 14), ("Oslo", None)]),
        (["Paris", "Oslo"], None, [("Paris", None), ("Oslo", None)]),
        ({"text": ["Paris"], "answer_start": [14]}, None, [("Paris", 14)]),
        ({"text": "Paris", "answer_start": 14}, None, [("Paris", 14)]),
        ([{"text": "Paris", "answer_start": 14}, {"text": "Oslo"}], None, [("Paris", 14), ("Oslo", None)]),
        ('{"text": ["Paris"], "answer_start": [14]}', None, [("Paris", 14)]),
        ("['Paris', 'Oslo']", "[14, 35]", [("Paris", 14), ("Oslo", 35)]),
        ("[Paris]", None, [("[Paris]", None)]),
        (1984, None, [("1984", None)]),
        (None, None, []),
        ("  ", 3, []),
        ({"text": [], "answer_start": []}, None, []),
        (float("nan"), None, []),
        ([None, ""], None, []),
    ],
)
def test_cells_of_many_shapes_hold_answers(cell: Any, starts: Any, found: list[Any]) -> None:
    assert given_answers(cell, starts) == found


@pytest.mark.parametrize(
    ("cell", "starts", "words"),
    [
        ("Paris", "first", "no whole number"),
        ("Paris", 1.5, "no whole number"),
        ("Paris", True, "no whole number"),
        (["a", "b"], [1, 2, 3], "2 answers and 3 starts"),
        ({"answer": "Paris"}, None, "without 'text'"),
        ([{"text": "a"}, "b"], None, "beside objects"),
        ([["a"]], None, "an answer is a list"),
    ],
)
def test_cells_of_other_shapes_are_told(cell: Any, starts: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        given_answers(cell, starts)


@pytest.mark.parametrize(
    ("text", "start", "state", "place"),
    [
        ("Paris", 14, "right", 14),
        (" Paris.", 13, "right", 14),  # white space at its ends does not count
        ("Paris", 13, "repaired", 14),
        ("Paris", -1, "repaired", 14),
        ("Paris", 900, "repaired", 14),
        ("lives", 0, "ambiguous", -1),
        ("lives", 26, "right", 26),
        ("lives", None, "several", 5),
        ("Paris", None, "right", 14),
        ("Rome", 14, "missing", -1),
        ("Rome", None, "missing", -1),
        ("paris", 14, "missing", -1),
    ],
)
def test_a_start_is_repaired_only_where_the_text_stands_once(
    text: str, start: int | None, state: str, place: int
) -> None:
    found = place_answer(CONTEXT, text, start)
    assert (found.state, found.start) == (state, place)
    assert bool(found.detail) == (state != "right")
    if state == "repaired" and start == 13:
        assert found.detail == "at 13 stands ' Pari', not 'Paris', which stands at 14"


# -- reading ---------------------------------------------------------------------------------------------------------


def test_squad_files_are_read_question_by_question(write: Callable[..., Path], cache: Path) -> None:
    path = write(
        "dev.json",
        squad(
            [{"context": CONTEXT, "qas": [
                asked("Where does Anna live?", ("Paris", 14), ("in Paris", 11)),
                asked("Where is Rome?", name="q2", is_impossible=True, plausible_answers=[{"text": "x"}]),
            ]}]
        ),
    )  # fmt: skip
    assert detect_format(inspect_file(path), ASK2) == "squad"
    first, second = rows_of(whole(path), ASK2, cache)
    assert first == {
        "row": 1, "source": "dev.json", "id": "q1", "question": "Where does Anna live?", "context": CONTEXT,
        "answers": ["Paris", "in Paris"], "starts": [14, 11], "label": 0,
    }  # fmt: skip
    assert (second["id"], second["answers"], second["starts"], second["label"]) == ("q2", [], [], 1)
    roles = load_roles(whole(path), ASK2, cache=cache)
    assert roles.labels == ["start", "end"]


@pytest.mark.parametrize("shape", ["pretty", "list", "flat articles", "data last"])
def test_squad_files_of_other_shapes(write: Callable[..., Path], cache: Path, shape: str) -> None:
    paragraph = {"context": CONTEXT, "qas": [asked("Where?", ("Paris", 14))]}
    text = {
        "pretty": json.dumps(json.loads(squad([paragraph])), indent=2),
        "list": json.dumps([{"title": "T", "paragraphs": [paragraph]}]),
        "flat articles": json.dumps({"data": [paragraph]}),
        "data last": json.dumps({"version": {"a": [1, {}]}, "data": [{"paragraphs": [paragraph]}], "x": None}),
    }[shape]
    assert [row["answers"] for row in rows_of(whole(write("a.json", text)), ASK, cache)] == [["Paris"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (squad([{"context": "a", "qas": []}])[:-3], "not JSON as SQuAD writes it.*line 1"),
        ('{"qas": [], "x" 3}', "a colon is missing"),
        ('{"data": [{"paragraphs": []} {}]}', "a comma or a closing bracket"),
        ('{"dota": [{"paragraphs": []}]}', "no list of articles"),
        ('{"paragraphs": [' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_damaged_nested_files_are_told(write: Callable[..., Path], cache: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        rows_of(whole(write("a.json", text)), ASK, cache)


def test_parts_without_questions_are_counted(write: Callable[..., Path], cache: Path) -> None:
    good = {"context": CONTEXT, "qas": [asked("Where?", ("Paris", 14))] * 3}
    text = json.dumps({"data": [{"paragraphs": [good, good, {"qas": []}, {"context": "x"}]}, 7, {"title": "no"},
                                {"paragraphs": [{"context": "x", "qas": [3]}]}]})  # fmt: skip
    report = check(whole(write("a.json", text)), ASK, cache=cache)
    entry = report.sources["train"]["dropped"]["malformed"]
    assert entry["count"] == 5
    assert entry["rows"][0]["detail"] == "article 1, paragraph 3 has no context"
    assert report.ok


def flat(rows: list[dict[str, Any]], kind: str, tmp: Path) -> Path:
    path = tmp / f"flat.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(out.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_flat_columns_in_three_formats(tmp_path: Path, cache: Path, kind: str) -> None:
    rows = [
        {"qid": "a", "query": "Where?", "passage": CONTEXT, "answer": "Paris", "answer_start": 14},
        {"qid": "b", "query": "Who?", "passage": CONTEXT, "answer": "Paul", "answer_start": 21},
    ]
    found = rows_of(whole(flat(rows, kind, tmp_path)), ASK, cache)
    assert [(row["id"], row["answers"], row["starts"]) for row in found] == [
        ("a", ["Paris"], [14]), ("b", ["Paul"], [21]),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_of_answers_in_one_column(tmp_path: Path, cache: Path, kind: str) -> None:
    rows = [{"context": CONTEXT, "question": "Who?", "answers": {"text": ["Anna", "Paul"], "answer_start": [0, 21]}}]
    (found,) = rows_of(whole(flat(rows, kind, tmp_path)), ASK, cache)
    assert (found["answers"], found["starts"], found["id"]) == (["Anna", "Paul"], [0, 21], "1")


def test_columns_that_the_plan_names(tmp_path: Path, cache: Path) -> None:
    rows = [{"frage": "Wo?", "text": CONTEXT, "loesung": "Paris", "ab": 14}]
    data = whole(flat(rows, "csv", tmp_path), columns=Columns(question="frage", answers="loesung", start="ab"))
    (found,) = rows_of(data, ASK, cache)
    assert (found["answers"], found["starts"], found["context"]) == (["Paris"], [14], CONTEXT)
    with pytest.raises(DataError, match=r"No column for question was found.*columns.question"):
        rows_of(whole(flat(rows, "csv", tmp_path)), ASK, cache)


def test_files_of_words_hold_no_questions(write: Callable[..., Path], cache: Path) -> None:
    with pytest.raises(DataError, match="cannot be used for question answering"):
        rows_of(whole(write("a.conll", "Anna B-PER\nruns O\n\nPaul B-PER\n")), ASK, cache)


# -- what is wrong with answers --------------------------------------------------------------------------------------


def test_wrong_starts_are_listed_repaired_or_left_out(write: Callable[..., Path], cache: Path) -> None:
    good = [asked("Where?", ("Paris", 14), name=f"g{index}") for index in range(12)]
    text = squad(
        [{"context": CONTEXT, "qas": [
            *good,
            asked("Where?", ("Paris", 13), name="moved"),
            asked("What?", ("lives", 1), name="unclear"),
            asked("Where?", ("Rome", 14), name="absent"),
            asked("Where?", ("Rome", 14), ("Oslo", 35), name="half"),
            asked("Where?", name="none"),
            asked("Where?", ("  ", 3), name="blank"),
        ]}]
    )  # fmt: skip
    path = write("train.json", text)
    report = check(whole(path), ASK, cache=cache)
    found = {finding.code: finding for finding in report.findings}
    assert report.ok
    assert found["answers_repaired"].where == (
        "train.json, row 13: id moved: at 13 stands ' Pari', not 'Paris', which stands at 14"
    )
    assert "row 14: id unclear: at 1 stands 'nna l', not 'lives'" in found["dropped_wrong_start"].where
    assert (
        "row 15: id absent: 'Rome' is not in the context; at 14 stands 'Pari'" in found["dropped_not_in_context"].where
    )
    assert "row 16: id half" in found["answers_missing"].where
    assert found["dropped_no_answer"].message.startswith("2 of 18 rows left out")
    assert "task.no_answer" in found["no_answer_off"].advice
    half = next(row for row in rows_of(whole(path), ASK, cache) if row["id"] == "half")
    assert (half["answers"], half["starts"]) == (["Oslo", "Rome"], [35, -1])  # the one with a place is learnt
    told = preview(whole(path), ASK)["problems"]
    assert any("Row 13: answer: id moved" in problem for problem in told)
    assert any("Row 15: left out" in problem for problem in told)


def test_a_question_said_to_be_answerable_needs_an_answer(write: Callable[..., Path], cache: Path) -> None:
    qas = [asked("Where?", ("Paris", 14), is_impossible=False), asked("Who?", name="lost", is_impossible=False),
           asked("When?", name="none", is_impossible=True), asked("Why?", name="silent")]  # fmt: skip
    found = rows_of(whole(write("a.json", squad([{"context": CONTEXT, "qas": qas}]))), ASK2, cache)
    assert [row["id"] for row in found] == ["q1", "none", "silent"]


def test_only_unanswered_questions_are_no_data(write: Callable[..., Path], cache: Path) -> None:
    path = write("a.json", squad([{"context": CONTEXT, "qas": [asked("Who?"), asked("Where?", name="b")]}]))
    with pytest.raises(DataError, match="No question has an answer"):
        load_roles(whole(path), ASK2, cache=cache)
    with pytest.raises(DataError, match="None of the 2 rows can be used"):
        load_roles(whole(path), ASK, cache=cache)
    answered = write("b.json", squad([{"context": CONTEXT, "qas": [asked("Where?", ("Paris", 14))]}]))
    assert "all_answered" in {finding.code for finding in check(whole(answered), ASK2, cache=cache).findings}


# -- roles -----------------------------------------------------------------------------------------------------------


def test_questions_about_one_context_share_a_role(write: Callable[..., Path], cache: Path) -> None:
    roles = load_roles(DataConfig(source=str(write("a.json", many(60)))), ASK, cache=cache)
    contexts = [set(getattr(roles, role)["context"]) for role in ("train", "gate", "test")]
    assert [len(one) for one in contexts] == [48, 6, 6]
    assert len(roles.train) == 96
    assert not contexts[0] & contexts[1] | contexts[0] & contexts[2] | contexts[1] & contexts[2]
    assert roles.report["balance"]["train"] == {"answer": 96}
    assert not any(finding["code"] == "duplicates" for finding in roles.report["findings"])


def test_a_context_in_two_given_roles_leaks(write: Callable[..., Path], cache: Path) -> None:
    other = squad([{"context": "Anna 3 lives in Paris.", "qas": [asked("What?", ("lives", 7))]},
                   {"context": "Quite new.", "qas": [asked("What?", ("new", 6))]}])  # fmt: skip
    given = {"source": str(write("a.json", many(9))), "test_source": str(write("b.json", other)), "gate_share": 0}
    with pytest.raises(DataError, match="1 contexts stand in two roles"):
        load_roles(DataConfig(**given), ASK, cache=cache)
    roles = load_roles(DataConfig(**given, drop_duplicates=True), ASK, cache=cache)
    assert roles.test["context"][:] == ["Quite new."]
    assert len(roles.train) == 18


# -- the check -------------------------------------------------------------------------------------------------------


def test_the_check_counts_windows_and_what_they_lose(
    write: Callable[..., Path], cache: Path, small_model: Path
) -> None:
    words = ["film", "number", "was", "fine", "dull"]
    long = " ".join(words[index % 5] for index in range(400))
    answer = long[50:350]
    qas = [asked("was it fine", ("film", 0)), asked("was it fine", (answer.strip(), 50), name="wide"),
           asked("fine " * 40, ("film", 0), name="endless")]  # fmt: skip
    path = write("a.json", squad([{"context": long, "qas": qas}, {"context": "film was fine", "qas": [qas[0]]}]))
    report = check(whole(path), ASK, small_model, 48, cache=cache)
    found = {finding.code: finding for finding in report.findings}
    assert report.lengths["unit"] == "sub-words"
    assert (report.lengths["lost"], report.lengths["cut_questions"]) == (1, 1)
    assert report.lengths["windows"] > 30
    assert "row 2 (id wide)" in found["answers_lost"].where
    assert "row 3 (id endless)" in found["questions_cut"].where
    assert "raise model.max_length" in found["questions_cut"].advice  # half of 48, not task.longest_question, cuts it
    shorter = ASK.model_copy(update={"longest_question": 5})
    again = {one.code: one for one in check(whole(path), shorter, small_model, 48, cache=cache).findings}
    assert "Raise task.longest_question" in again["questions_cut"].advice
    assert found["windows"].message.startswith("75.0% of the questions need several windows of 48")
    json.dumps(report.as_dict())


def test_a_context_of_70000_characters_is_kept(write: Callable[..., Path], cache: Path) -> None:
    long = "x" * 69_000 + " Paris " + "y" * 1_000
    path = write("a.json", squad([{"context": long, "qas": [asked("Where?", ("Paris", 69_001))]}]))
    (row,) = rows_of(whole(path), ASK, cache)
    assert row["context"][row["starts"][0] :][:5] == "Paris"
    shown = preview(whole(path), ASK)["rows"][0]
    assert len(shown["context"]) == 500
    assert shown["answers"] == ["Paris"]


def test_a_nested_file_for_another_task_is_not_taken_for_questions(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"questions about contexts.*question_answering"):
        open_source(whole(write("a.json", many(1))), TaskConfig())
