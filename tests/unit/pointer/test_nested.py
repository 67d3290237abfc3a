"""Nested gold for scores of stretches: scores by sets, the loss of flat spans, baseline, a run, other heads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Plan, TaskConfig
from core.config.comparison import ComparisonTask
from core.data.tasks import task_for
from core.data.tasks.pointer_view import gold_of
from core.data.tasks.span_scores import SpanCounts, known_spans
from core.models.prediction import ListRows
from core.training import MemoryContext, Outcome, train
from core.training.prepare import prepare

LABELS = ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
SPANS = {"kind": "tagging", "gold": "spans"}
GLOBAL = {**SPANS, "head": "pointer", "pointer": {"kind": "global", "size": 16}}
Span = tuple[int, int, str]
drawn = st.tuples(st.integers(0, 6), st.integers(0, 8), st.sampled_from(["LOC", "ORG"]))
span_sets = st.sets(drawn.map(lambda one: (one[0], one[0] + one[1], one[2])), max_size=6)


def rows_of(*sentences: tuple[str, list[Span]]) -> ListRows:
    columns: dict[str, list[Any]] = {"tokens": [], "tags": [], "firsts": [], "lasts": [], "kinds": []}
    for text, spans in sentences:
        columns["tokens"].append(text.split())
        columns["tags"].append([0] * len(text.split()))
        for name, values in zip(
            ("firsts", "lasts", "kinds"), zip(*spans, strict=True) if spans else ((),) * 3, strict=True
        ):
            columns[name].append([LABELS.index(f"B-{one}") if name == "kinds" else one for one in values])
    return ListRows(columns)


@given(st.lists(st.tuples(span_sets, span_sets), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_scores_are_those_of_sets(pairs: list[tuple[set[Span], set[Span]]]) -> None:
    found = SpanCounts([gold for gold, _ in pairs], [answer for _, answer in pairs], ["LOC", "ORG"])
    gold = {(row, *one) for row, (wanted, _) in enumerate(pairs) for one in wanted}
    given_ = {(row, *one) for row, (_, answer) in enumerate(pairs) for one in answer}

    def score(wanted: set[Any], answer: set[Any]) -> tuple[float, float, float]:
        precision = len(gold & answer) / len(answer) if answer else 0.0
        recall = len(answer & wanted) / len(wanted) if wanted else 0.0
        return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    precision, recall, f1 = score(gold, given_)
    assert found.metrics == pytest.approx({"span_f1": f1, "span_precision": precision, "span_recall": recall})

    def overlapping(spans: set[Any]) -> set[Any]:
        return {
            one for one in spans
            if any(one != two and one[0] == two[0] and one[1] <= two[2] and two[1] <= one[2] for two in spans)
        }  # fmt: skip

    groups: dict[tuple[str, str], Callable[[set[Any]], set[Any]]] = {
        ("type", "LOC"): lambda spans: {one for one in spans if one[3] == "LOC"},
        ("nesting", "overlaps another"): overlapping,
        ("nesting", "stands alone"): lambda spans: spans - overlapping(spans),
        ("words", "2"): lambda spans: {one for one in spans if one[2] - one[1] == 1},
        ("words", "4–6"): lambda spans: {one for one in spans if 3 <= one[2] - one[1] <= 5},
        ("words", "7 or more"): lambda spans: {one for one in spans if one[2] - one[1] >= 6},
    }
    types, lines, intervals = found.tables()
    told = {
        (one["by"], one["value"]): one
        for one in [*lines, *({**one, "by": "type", "value": one["type"]} for one in types)]
    }
    for group, chosen in groups.items():
        answered = (chosen(gold) & given_) | (chosen(given_) - gold)  # a right answer goes with its gold
        if group not in told:
            assert not chosen(gold) | answered
            continue
        line = told[group]
        assert (line["precision"], line["recall"], line["f1"]) == pytest.approx(score(chosen(gold), answered))
        assert line["support"] == len(chosen(gold))
    assert set(intervals) == {"span_f1", "span_precision", "span_recall"}


def test_without_a_model_entities_of_training_are_looked_up() -> None:
    train_rows = rows_of(
        ("bank of london", [(0, 2, "ORG"), (2, 2, "LOC")]), ("london was old", [(0, 0, "LOC")]),
        ("the bank of paris", [(3, 3, "LOC")]), ("paris sad paris", []), ("york york", [(0, 0, "LOC"), (0, 0, "ORG")]),
    )  # fmt: skip
    test_rows = rows_of(
        ("the bank of london", [(1, 3, "ORG"), (3, 3, "LOC")]), ("paris", [(0, 0, "LOC")]), ("york", [(0, 0, "ORG")])
    )
    # paris was none twice of three times, york both types as often as none.
    assert known_spans(train_rows, test_rows, LABELS) == pytest.approx(
        {"span_precision": 3 / 4, "span_recall": 3 / 4, "span_f1": 3 / 4}
    )


@pytest.fixture(scope="module")
def nested(ground: Path) -> Path:
    """Sentences of which every second one has a place inside a bank; flat ones have tags too."""
    path = ground / "nested.jsonl"
    rows: list[dict[str, Any]] = []
    for index in range(12):
        place = ("london", "paris", "york")[index % 3]
        rows.append({"tokens": ["old", "bank", "of", place, str(index)], "spans": [[1, 4, "ORG"], [3, 4, "LOC"]]})
        rows.append({"tokens": ["the", "film", place, str(index)], "spans": [{"start": 2, "end": 3, "label": "LOC"}]})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    flat = [{**row, "tags": ["O", "O", "B-LOC", "O"]} for row in rows[1::2]]
    flat += [
        {"tokens": ["acme", "inc", str(at)], "spans": [[0, 2, "ORG"]], "tags": ["B-ORG", "I-ORG", "O"]}
        for at in range(8)
    ]
    (ground / "flat.jsonl").write_text("\n".join(json.dumps(row) for row in flat))
    return path


def planned(plan: Plan, path: Path, task: dict[str, Any], **data: Any) -> Plan:
    values = plan.model_dump(mode="json")
    values["task"] = {"stride": 4, **task}
    values["data"] |= {"source": str(path), **data}
    return Plan.model_validate(values)


def test_flat_spans_have_the_loss_of_their_tags_to_the_bit(
    pointer_plan: Callable[..., Plan], ground: Path, nested: Path
) -> None:
    sides = []
    for gold in ("tags", "spans"):
        plan = planned(pointer_plan(class_weights="balanced"), ground / "flat.jsonl", {**GLOBAL, "gold": gold})
        prepared = prepare(plan, ground / "cache")
        encoded, task = prepared.encoded["train"], prepared.task
        batch = task.collate(encoded.features, prepared.tokenizer)
        labels = batch.pop("labels")
        prepared.model.eval()
        with torch.inference_mode():
            logits = prepared.model(**batch).logits
        sides.append((logits, labels, task.loss(logits, labels), task.label_counts(encoded), task))
        prepared.release()
    one, two = sides
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert (one[1] == 1).any()
    assert torch.equal(one[2][0], two[2][0])
    assert one[3] == two[3]
    assert (one[4].primary_metric, two[4].primary_metric) == ("strict_f1", "span_f1")
    assert "strict_f1" not in two[4].metric_names
    assert "token_accuracy" not in two[4].metric_names


def test_a_run_learns_entities_inside_others(
    pointer_plan: Callable[..., Plan], ground: Path, nested: Path, tmp_path: Path
) -> None:
    plan = planned(pointer_plan(epochs=25, lr=5e-3, head_lr=1e-2), nested, GLOBAL)
    run = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(plan, run) is Outcome.FINISHED
    results = json.loads((run.folder / "results.json").read_text())
    metrics, test = results["metrics"], results["details"]["test"]
    assert metrics["test/span_f1"] == 1.0
    assert not any(name.endswith(("strict_f1", "token_accuracy")) for name in metrics)
    by = {(one["by"], one["value"]): one for one in test["stretches"]}
    assert by["nesting", "overlaps another"]["support"] > 0
    assert by["nesting", "overlaps another"]["f1"] == 1.0
    assert test["documents"]["counts"][0][2] in (1, 2)
    assert "span_f1" in test["baseline"]
    assert {one["gold"] for one in test["worst"]} == {one["predicted"] for one in test["worst"]}
    assert any("ORG bank of" in one["gold"] and "; LOC" in one["gold"] for one in test["worst"])


def test_gold_that_nests_is_seen_and_scored(pointer_plan: Callable[..., Plan], ground: Path, nested: Path) -> None:
    prepared = prepare(planned(pointer_plan(), nested, GLOBAL), ground / "cache")
    task, rows = prepared.task, prepared.roles.train
    row = next(row for row in rows if len(row["kinds"]) == 2)
    told = gold_of(task, row, {"kind": "stretches", "rows": row["tokens"], "contains": None})["spans"]
    assert {(one["first"], one["last"], one["name"]) for one in told} == {(1, 3, "ORG"), (3, 3, "LOC")}
    sure = []
    for feature in prepared.encoded["train"].features:
        words = len(feature["words"])
        scores = np.full((words, words, 2), -50.0)
        for first, last, kind in feature["labels"]:
            scores[first, last, kind] = 50.0
        sure.append(scores.reshape(words, -1))
    found = task.evaluate(sure, prepared.encoded["train"], rows)
    assert found.metrics["span_f1"] == 1.0
    assert found.metrics["loss"] == pytest.approx(0.0, abs=1e-9)
    counts = dict(zip(task.labels, task.label_counts(prepared.encoded["train"]), strict=True))
    assert counts["B-LOC"] == len(rows)
    assert counts["B-ORG"] == sum(len(one["kinds"]) == 2 for one in rows)
    prepared.release()


def test_a_head_that_cannot_nest_is_scored_against_all_spans() -> None:
    for head in ("linear", "pointer"):
        task = task_for(TaskConfig.model_validate({**SPANS, "head": head, "nested": "outermost"}), LABELS)
        assert task.metric_names[:3] == ("span_f1", "span_precision", "span_recall")
        assert ("pointer_accuracy" in task.metric_names) == (head == "pointer")
    task = task_for(TaskConfig.model_validate({**SPANS, "nested": "outermost"}), LABELS)
    rows = rows_of(("the bank of london", [(1, 3, "ORG"), (3, 3, "LOC")]))
    rows.columns["tags"] = [[0, 3, 4, 4]]
    encoded = prepared_feature(4)
    logits = np.full((6, 5), -9.0)
    logits[np.arange(1, 5), [0, 3, 4, 4]] = 9.0
    found = task.evaluate([logits], encoded, rows, details=True)
    assert found.metrics["span_precision"] == 1.0
    assert found.metrics["span_recall"] == 0.5
    assert found.details["documents"]["counts"] == [[1, 1, 2]]
    assert ComparisonTask.model_validate({"name": "a", "task": SPANS}).score == "span_f1"


def prepared_feature(words: int) -> Any:
    from core.data.tasks.base import Encoded

    feature = {"positions": np.arange(1, words + 1), "words": np.arange(words), "input_ids": [0] * (words + 2)}
    return Encoded([feature], [words + 2], [0])
