"""``bertloom compare check``: tables of scores from anywhere, good ones and bad ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.cli.app import app
from core.runs.compare import Documents, Pair, compare

_Row = tuple[str, int, str, float]
_HEAD = ("strategy", "seed", "document", "score")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", "check", *map(str, arguments)], terminal_width=200)


def told(*arguments: object) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.count("\n") == 1
    return dict(json.loads(result.stdout))


def refused(*arguments: object, status: int = 1) -> str:
    result = call(*arguments, "--json")
    assert result.exit_code == status, result.stdout
    return str(json.loads(result.stdout)["message"])


def rows(means: dict[str, float], *, seeds: Iterable[int] = range(5), documents: int = 60) -> list[_Row]:
    """Scores of strategies that differ by little but their means."""
    generator = np.random.default_rng(0)
    hard = generator.normal(0, 0.1, documents)
    return [
        (name, seed, f"d{at}", float(mean + hard[at] + generator.normal(0, 0.02)))
        for name, mean in means.items()
        for seed in seeds
        for at in range(documents)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(lines: Iterable[Iterable[object]], name: str = "results.csv", head: Iterable[str] = _HEAD) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, delimiter="\t" if name.endswith(".tsv") else ",")
            out.writerow(head)
            out.writerows(lines)
        return path

    return written


# -- verdicts --------------------------------------------------------------------------------------------------------
def test_a_clear_difference_has_the_winner_of_the_issue_s_json(write: Callable[..., Path]) -> None:
    (one,) = told(write(rows({"joint": 0.9, "single": 0.7})))["verdicts"]
    assert {name: one[name] for name in ("task", "a", "b", "verdict", "margin", "seeds")} == {
        "task": None, "a": "joint", "b": "single", "verdict": "a", "margin": 0.01, "seeds": 5,
    }  # fmt: skip
    assert one["difference"] == pytest.approx(0.2, abs=0.01)
    assert one["interval"][0] < one["difference"] < one["interval"][1]
    assert one["p"] < 0.001
    assert isinstance(one["seeds_needed"], int)


def test_the_numbers_are_those_of_the_comparison_of_the_same_scores(write: Callable[..., Path]) -> None:
    lines = rows({"a": 0.72, "b": 0.70})
    table = {(name, seed, document): score for name, seed, document, score in lines}
    sides = [np.array([[table[name, seed, f"d{at}"] for at in range(60)] for seed in range(5)]) for name in "ab"]
    pair = Pair(
        "x", *[dict(enumerate(side.mean(1))) for side in sides], documents=Documents(*(s[..., None] for s in sides))
    )
    wanted = compare([pair])[0]
    np.random.default_rng(1).shuffle(lines)  # type: ignore[arg-type]
    (one,) = told(write(sorted(lines, key=lambda row: row[0])))["verdicts"]
    assert wanted.both_interval is not None
    assert one["interval"] == pytest.approx(wanted.both_interval)
    assert one["seeds_interval"] == pytest.approx(wanted.interval)
    assert one["p"] == pytest.approx(wanted.both_p)
    assert one["seeds_needed"] == wanted.seeds_needed


def test_every_pair_of_every_task_is_judged_and_corrected_together(write: Callable[..., Path]) -> None:
    lines = [(task, *row) for task in ("ner", "qa") for row in rows({"a": 0.9, "b": 0.7, "c": 0.7})]
    found = told(write(lines, head=("task", *_HEAD)))["verdicts"]
    assert [(one["task"], one["a"], one["b"]) for one in found] == [
        (task, *pair) for task in ("ner", "qa") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert {one["verdict"] for one in found if one["a"] == "a"} == {"a"}
    widths = [np.diff(one[name])[0] for one in found[:1] for name in ("interval", "interval_corrected")]
    assert widths[0] < widths[1]
    few = told(write(lines, head=("task", *_HEAD)), "--reference", "b")["verdicts"]
    assert [(one["a"], one["b"]) for one in few] == [("a", "b"), ("c", "b")] * 2


def test_equal_strategies_are_equivalent_or_not_distinguishable_by_the_margin(write: Callable[..., Path]) -> None:
    path = write(rows({"a": 0.7, "b": 0.7}))
    assert told(path, "--margin", 0.05)["verdicts"][0]["verdict"] == "equivalent"
    assert told(path, "--margin", 0.0001)["verdicts"][0]["verdict"] == "not distinguishable"
    assert "are equivalent" in call(path, "--margin", 0.05).stdout


def test_of_losses_the_lower_is_better(write: Callable[..., Path]) -> None:
    assert told(write(rows({"a": 0.9, "b": 0.7})), "--lower-is-better")["verdicts"][0]["verdict"] == "b"


def test_people_get_a_table_and_sentences(write: Callable[..., Path]) -> None:
    result = call(write(rows({"[red]a": 0.9, "b": 0.7})))
    assert result.exit_code == 0
    assert "[red]a is better than b. (0.90" in result.stdout
    assert "5 seeds of 60 documents)" in result.stdout
    head, row = result.stdout.split("\n")[:2]
    assert head.split("  ")[0] == "a"
    assert "95 % interval" in head
    assert row.startswith("[red]a  b  +0.")  # nothing is cut off at 80 columns
    assert row.rstrip().endswith("a is better")


@pytest.mark.parametrize("form", ["tsv", "jsonl", "parquet", "csv.gz"])
def test_other_formats_say_the_same(write: Callable[..., Path], tmp_path: Path, form: str) -> None:
    lines = rows({"a": 0.9, "b": 0.7})
    wanted = told(write(lines))["verdicts"]
    path = tmp_path / f"other.{form}"
    if form == "tsv":
        write(lines, "other.tsv")
    elif form == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(_HEAD, row, strict=True))) + "\n" for row in lines))
    elif form == "csv.gz":
        import gzip

        path.write_bytes(gzip.compress((tmp_path / "results.csv").read_bytes()))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = zip(*lines, strict=True)
        pq.write_table(pa.table({name: list(cells) for name, cells in zip(_HEAD, columns, strict=True)}), path)
    assert told(path)["verdicts"] == wanted


def test_columns_may_have_other_names_or_another_case(write: Callable[..., Path]) -> None:
    path = write(rows({"a": 0.9, "b": 0.7}), head=("Strategy", "run", "document", "f1"))
    found = told(path, "--column", "seed=run", "--column", "score=f1")
    assert found["columns"] == {"strategy": "Strategy", "seed": "run", "document": "document", "score": "f1"}


def test_right_and_wrong_are_scores(write: Callable[..., Path]) -> None:
    lines = [(name, seed, at, name == "a" or at % 3 > 0) for name in "ab" for seed in range(5) for at in range(90)]
    (one,) = told(write(lines))["verdicts"]
    assert one["verdict"] == "a"
    assert (one["a_mean"], one["b_mean"]) == pytest.approx((1, 2 / 3))


# -- too little ------------------------------------------------------------------------------------------------------
def test_one_seed_is_refused_a_verdict_and_says_why(write: Callable[..., Path]) -> None:
    path = write(rows({"a": 0.9, "b": 0.7}, seeds=[3]))
    (one,) = told(path)["verdicts"]
    assert (one["verdict"], one["interval"], one["p"], one["seeds"]) == ("no verdict", None, None, 1)
    assert one["why"].startswith("one seed says nothing about another one")
    assert one["difference"] == pytest.approx(0.2, abs=0.02)
    assert "No verdict on a and b: one seed" in call(path).stdout


def test_four_seeds_give_an_interval_and_no_verdict(write: Callable[..., Path]) -> None:
    (one,) = told(write(rows({"a": 0.9, "b": 0.7})), "--seeds", "0-2,4")["verdicts"]
    assert (one["verdict"], one["seeds"], one["why"]) == (
        "no verdict", 4, "4 seeds in common; 5 are the least for a verdict",
    )  # fmt: skip
    assert one["interval"] is not None


def test_what_only_one_strategy_has_is_left_out_and_counted(write: Callable[..., Path]) -> None:
    lines = rows({"a": 0.9, "b": 0.7}, seeds=range(6))
    lines = [row for row in lines if row[:2] != ("b", 5) and row[:3] not in {("a", 0, "d1"), ("b", 2, "d7")}]
    found = told(write(lines))
    (one,) = found["verdicts"]
    assert one["left_out"] == {"seeds": {"a": ["5"]}, "documents": 2}
    assert (one["seeds"], one["documents"]) == (5, 58)
    assert found["notices"] == [
        "a and b: left out seed that only a has: 5.",
        "a and b: left out 2 documents that not all their runs have.",
    ]


def test_seeds_that_are_not_shared_are_compared_unpaired(write: Callable[..., Path]) -> None:
    lines = rows({"a": 0.9}) + rows({"b": 0.7}, seeds=range(5, 11))
    found = told(path := write(lines))
    assert (found["verdicts"][0]["verdict"], found["verdicts"][0]["why"]) == ("no verdict", "no seed in common")
    assert "--unpaired" in found["notices"][-1]
    (one,) = told(path, "--unpaired")["verdicts"]
    assert (one["verdict"], one["seeds"]) == ("a", 5)


def test_without_a_document_in_common_nothing_is_compared(write: Callable[..., Path]) -> None:
    lines = [
        *rows({"a": 0.9}),
        *((name, seed, f"x{document}", score) for name, seed, document, score in rows({"b": 0.7})),
    ]
    (one,) = told(write(lines))["verdicts"]
    assert (one["verdict"], one["why"]) == ("no verdict", "no document that all their runs have")
    assert one["left_out"]["documents"] == 120


def test_one_document_gives_an_interval_over_seeds_and_says_so(write: Callable[..., Path]) -> None:
    found = told(write(rows({"a": 0.9, "b": 0.7}, documents=1)))
    assert found["verdicts"][0]["interval"] == found["verdicts"][0]["seeds_interval"]
    assert "over seeds only" in found["notices"][0]


def test_scores_of_a_hundred_need_another_margin(write: Callable[..., Path]) -> None:
    assert "--margin 1" in told(write(rows({"a": 90, "b": 70})))["notices"][0]


def test_one_run_a_side_is_a_difference_paired_or_not(write: Callable[..., Path]) -> None:
    path = write(rows({"a": 0.9}, seeds=[0]) + rows({"b": 0.7}, seeds=[1]))
    (one,) = told(path, "--unpaired")["verdicts"]
    assert (one["verdict"], one["seeds"], one["interval"]) == ("no verdict", 1, None)
    assert one["difference"] == pytest.approx(0.2, abs=0.02)


# -- bad tables ------------------------------------------------------------------------------------------------------
def test_missing_columns_are_named_beside_those_that_were_found(write: Callable[..., Path]) -> None:
    message = refused(write([("a", 0, 0.5)], head=("strategy", "fold", "accuracy")))
    assert "no column seed, document, score" in message
    assert "found were strategy, fold, accuracy" in message
    assert "no column 'f1'" in refused(write(rows({"a": 1, "b": 2})), "--column", "score=f1")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (("a", 0, "d1", "n/a"), "row 121 (line 122): column 'score' holds 'n/a', no number"),
        (("a", 0, "d1", "nan"), "column 'score' holds 'nan', no number"),
        (("a", 0, "d1", ""), "column 'score' holds nothing, no number"),
        (("a", 0, "d1", "0,5"), "column 'score' holds '0,5', no number"),
        (("a", "", "d1", 1), "row 121 (line 122): column 'seed' is empty"),
        (("a", 0, "d1"), "it has 3 cells instead of 4"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_field(
    write: Callable[..., Path], row: tuple[object, ...], what: str
) -> None:
    message = refused(write([*rows({"a": 0.9, "b": 0.7}, documents=12), row]))
    assert message.startswith("1 of 121 rows cannot be used")
    assert what in message


def test_many_bad_rows_are_counted_and_some_named(write: Callable[..., Path]) -> None:
    message = refused(write([("a", 0, at, "?") for at in range(40)]))
    assert "40 of 40 rows" in message
    assert "and 35 more" in message


def test_a_score_that_stands_there_twice_is_refused_with_both_rows(write: Callable[..., Path]) -> None:
    lines = rows({"a": 0.9, "b": 0.7}, documents=12)
    message = refused(write([*lines, lines[3]]))
    assert message.startswith("1 score stands in the table twice.")
    assert "rows 4 and 121: strategy a, seed 0, document d3" in message


def test_a_single_strategy_has_nothing_to_be_compared_with(write: Callable[..., Path]) -> None:
    assert "single strategy: a" in refused(write(rows({"a": 0.9})))
    lines = [("ner", *row) for row in rows({"a": 0.9})] + [("qa", *row) for row in rows({"b": 0.7})]
    assert "single strategy in each task: a, b" in refused(write(lines, head=("task", *_HEAD)))


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("--margin", 0), 2, "margin cannot be 0"),
        (("--seeds", "9-7"), 2, "no range of seeds"),
        (("--seeds", "8,9"), 1, "no row of these seeds. Seeds that were found: 0, 1, 2, 3, 4."),
        (("--reference", "c"), 2, "no strategy 'c'"),
        (("--column", "score"), 2, "names no column"),
        (("--column", "metric=f1"), 2, "has no 'metric'"),
    ],
)
def test_options_that_name_nothing_say_what_there_is(
    write: Callable[..., Path], arguments: tuple[object, ...], status: int, what: str
) -> None:
    assert what in refused(write(rows({"a": 0.9, "b": 0.7}, documents=3)), *arguments, status=status)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "is empty" in refused(tmp_path / "empty.csv")
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    message = refused(tmp_path / "book.xlsx")
    assert "columns strategy, seed, document, score" in message
