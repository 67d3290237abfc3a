"""A plan with an original and a finetuning set: what is learnt from, the guard, the fit, the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.config import DataConfig, Plan, TaskConfig
from core.config.derive import derive_config
from core.data import check, load_roles
from core.data.derive import derive, provenance_path, write_derived
from core.errors import DataError
from tests.unit.derive.conftest import TAGGED, labelled

CLASSIFY, TAG = TaskConfig(), TaskConfig(kind="tagging")


def finetuning(source: str, out: Path, *steps: str, rest: Path | None = None, sets: tuple[str, ...] = ()) -> str:
    write_derived(derive(derive_config(source, None, steps, sets)), out, rest, overwrite=True)
    return str(out)


def levels(report: dict, code: str) -> list[str]:
    return [finding["level"] for finding in report["findings"] if finding["code"] == code]


def test_together_is_the_original_set_and_then_the_finetuning_set(lines, tmp_path, cache) -> None:
    own = finetuning(lines(labelled(20, 500), "development.jsonl"), tmp_path / "ft.jsonl", "filter: {min_words: 3}")
    data = {"source": lines(labelled(100)), "finetuning_source": own, "fit_refuse": None}
    found = {
        training: load_roles(DataConfig(**data, training=training), CLASSIFY, cache=cache)
        for training in ("original", "finetuning", "together")
    }
    texts = {training: roles.train["text"][:] for training, roles in found.items()}
    assert texts["together"] == texts["original"] + texts["finetuning"]
    assert texts["finetuning"] == [row["text"] for row in labelled(20, 500)]
    assert len(texts["original"]) == 80
    together = found["together"]
    assert together.train["label"][-2:] == [together.labels.index("good"), together.labels.index("bad")]
    assert set(together.train["source"]) == {"rows.jsonl", "ft.jsonl"}
    assert (together.report["roles"]["train"]["rows"], together.report["balance"]["train"]["good"]) == (100, 50)
    assert together.report["sets"]["original"] == {"rows": 80, "source": "rows.jsonl"}
    assert together.report["sets"]["finetuning"]["record"]["steps"][-1] == {"step": "filter", "before": 20, "after": 20}
    # Gate and test are those of the original set, whatever is learnt from.
    for role in ("gate", "test"):
        assert len({tuple(getattr(roles, role)["text"][:]) for roles in found.values()}) == 1
    assert len({roles.fingerprint for roles in found.values()}) == 3
    limited = load_roles(DataConfig(**data, training="together", train_rows=10), CLASSIFY, cache=cache)
    assert len(limited.train) == 30


def test_a_plan_that_learns_from_a_set_names_it() -> None:
    with pytest.raises(ValidationError, match="no finetuning_source"):
        DataConfig(training="together")


def test_rows_made_of_gate_or_test_rows_are_named_and_refused(lines, tmp_path, cache) -> None:
    rows = [{**row, "text": f"{row['text']}. It {at} ended."} for at, row in enumerate(labelled(12))]
    development = lines(rows, "development.jsonl")
    # Every text is cut, so that only the record knows what it was made of.
    own = finetuning(development, tmp_path / "ft.jsonl", "summaries")
    data = DataConfig(
        source=lines(labelled(40, 100)), test_source=lines(rows[3:5], "test.jsonl"), finetuning_source=own,
        training="together", fit_refuse=None,
    )  # fmt: skip
    with pytest.raises(DataError, match="2 rows of the finetuning set") as caught:
        load_roles(data, CLASSIFY, cache=cache)
    assert "row 4 (made of row 4) = test row 1; row 5 (made of row 5) = test row 2" in str(caught.value.where)
    # A copy has no record beside it, but each row keeps its hashes.
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(own).read_bytes())
    with pytest.raises(DataError, match="2 rows"):
        load_roles(data.model_copy(update={"finetuning_source": str(copy)}), CLASSIFY, cache=cache)
    dropped = load_roles(data.model_copy(update={"drop_duplicates": True}), CLASSIFY, cache=cache)
    numbers = [row for row, source in zip(dropped.train["row"], dropped.train["source"], strict=True) if "ft" in source]
    assert numbers == [1, 2, 3, 6, 7, 8, 9, 10, 11, 12]
    assert len(dropped.test) == 2
    assert dropped.report["sets"]["finetuning"]["dropped"] == {"leaking": 2, "repeated": 0, "original": 0}
    # Where it is not learnt from it is told, and the run may start.
    told = load_roles(data.model_copy(update={"training": "original"}), CLASSIFY, cache=cache).report
    assert levels(told, "finetuning_leak") == ["warning"]


def test_rows_that_stand_in_gate_themselves_are_refused(lines, cache) -> None:
    data = DataConfig(
        source=lines(labelled(40)), gate_source=lines(labelled(10, 50), "gate.jsonl"),
        finetuning_source=lines(labelled(20, 55), "ft.jsonl"), training="finetuning",
    )  # fmt: skip
    with pytest.raises(DataError, match="5 rows of the finetuning set") as caught:
        load_roles(data, CLASSIFY, cache=cache)
    assert "row 1 = gate row 6" in str(caught.value.where)


def test_questions_made_of_a_gate_sentence_leak_through_the_record(lines, tmp_path, cache) -> None:
    other = [{**row, "tokens": ["Well", *row["tokens"]], "tags": ["O", *row["tags"]]} for row in TAGGED]
    own = finetuning(lines(TAGGED, "development.jsonl"), tmp_path / "ft.json", "entity_questions")
    original = finetuning(lines(other, "other.jsonl"), tmp_path / "original.jsonl", "entity_questions")
    gate = finetuning(lines(TAGGED[:1], "gate_rows.jsonl"), tmp_path / "gate.jsonl", "entity_questions")
    data = DataConfig(
        source=original, gate_source=gate, test_share=0, finetuning_source=own, training="together", fit_refuse=None,
    )  # fmt: skip
    with pytest.raises(DataError, match="2 rows of the finetuning set") as caught:
        load_roles(data, TaskConfig(kind="question_answering", no_answer=True), cache=cache)
    assert "row 1 (made of row 1) = gate row 1" in str(caught.value.where)


def test_the_rest_of_a_part_is_gate_without_a_leak(lines, tmp_path, cache) -> None:
    rest = tmp_path / "rest.jsonl"
    development = lines([*labelled(30, 100), *labelled(30, 100)], "development.jsonl")
    own = finetuning(development, tmp_path / "ft.jsonl", rest=rest, sets=("part.share=0.5",))
    data = DataConfig(
        source=lines(labelled(60)), gate_source=str(rest), finetuning_source=own, training="together", test_share=0.2,
    )  # fmt: skip
    assert load_roles(data, CLASSIFY, cache=cache).report["ok"]


def test_label_sets_must_be_equal(lines, cache) -> None:
    source = lines(labelled(60))
    only_good = [row for row in labelled(40, 100) if row["label"] == "good"]
    data = DataConfig(source=source, finetuning_source=lines(only_good, "good.jsonl"), training="together")
    with pytest.raises(DataError, match=r"lacks labels of the original set: bad"):
        load_roles(data, CLASSIFY, cache=cache)
    within = data.model_copy(update={"fit_labels": "within", "fit_refuse": None})
    assert levels(load_roles(within, CLASSIFY, cache=cache).report, "fit_labels") == ["note"]
    more = [*labelled(40, 100), {"text": "so so", "label": "mixed"}]
    data = DataConfig(source=source, finetuning_source=lines(more, "more.jsonl"), training="together")
    for way in ({}, {"fit_labels": "within"}):
        with pytest.raises(DataError, match="that the original set lacks: mixed"):
            load_roles(data.model_copy(update=way), CLASSIFY, cache=cache)
    # Not learnt from: a warning, and the run may start.
    told = load_roles(data.model_copy(update={"training": "original"}), CLASSIFY, cache=cache).report
    assert (told["ok"], levels(told, "fit_labels")) == (True, ["warning"])


def test_shifted_labels_and_lengths_are_told_warned_of_or_refused(lines, cache) -> None:
    rows = [{"text": f"{'word ' * (at % 9 + 1)}{at}", "label": "ab"[at % 2]} for at in range(200)]
    shifted = [{"text": f"{'word ' * 9}x {at}", "label": "ab"[at % 20 == 0]} for at in range(100)]
    data = DataConfig(source=lines(rows), finetuning_source=lines(shifted, "ft.jsonl"), training="together")
    with pytest.raises(DataError, match=r"lengths \(in characters\) .* more than 0.5"):
        load_roles(data, CLASSIFY, cache=cache)
    told = load_roles(data.model_copy(update={"fit_refuse": None}), CLASSIFY, cache=cache).report
    assert levels(told, "fit_lengths_shift") == levels(told, "fit_labels_shift") == ["warning"]
    assert told["fit"]["labels"]["level"] == "warned"
    # 80 a and 80 b of the 160 training rows against 95 and 5.
    assert told["fit"]["labels"]["original"] == pytest.approx([0.5, 0.5])
    assert told["fit"]["labels"]["finetuning"] == pytest.approx([0.95, 0.05])
    json.dumps(told)
    calm = DataConfig(source=lines(rows), finetuning_source=lines(rows[:100], "same.jsonl"), training="original")
    report = check(calm, CLASSIFY, cache=cache).as_dict()
    assert (levels(report, "fit_labels_shift"), levels(report, "fit_lengths_shift")) == (["note"], ["note"])
    assert report["fit"]["lengths"]["level"] == "fits"


def test_entities_are_compared_by_type(lines, tmp_path, cache) -> None:
    own = finetuning(lines(TAGGED, "development.jsonl"), tmp_path / "ft.jsonl", "relabel: {mapping: {geo-loc: place}}")
    other = [{**row, "tokens": ["Well", *row["tokens"]], "tags": ["O", *row["tags"]]} for row in TAGGED]
    data = DataConfig(source=lines(other), finetuning_source=own, training="together", gate_share=0, test_share=0)
    with pytest.raises(DataError, match="entity types that the original set lacks: place"):
        load_roles(data, TAG, cache=cache)
    same = finetuning(lines(TAGGED, "development.jsonl"), tmp_path / "same.jsonl")
    told = load_roles(data.model_copy(update={"finetuning_source": same}), TAG, cache=cache)
    assert told.report["fit"]["labels"]["divergence"] == 0
    assert told.report["fit"]["unit"] == "words"
    assert len(told.train) == 8


def test_a_set_without_a_row_left_is_refused(lines, cache) -> None:
    gate = lines(labelled(10, 50), "gate.jsonl")
    data = DataConfig(
        source=lines(labelled(40)), gate_source=gate, finetuning_source=gate, training="finetuning",
        drop_duplicates=True,
    )  # fmt: skip
    with pytest.raises(DataError, match="No row"):
        load_roles(data, CLASSIFY, cache=cache)


def test_a_changed_file_is_told_and_its_rows_still_know_their_source(lines, tmp_path, cache) -> None:
    own = finetuning(lines(labelled(20, 500), "development.jsonl"), tmp_path / "ft.jsonl")
    kept = Path(own).read_text().splitlines(keepends=True)
    Path(own).write_text("".join(kept[5:]))
    assert provenance_path(Path(own)).exists()
    data = DataConfig(
        source=lines(labelled(60)), finetuning_source=own, training="together",
        test_source=lines(labelled(1, 519), "test.jsonl"),
    )  # fmt: skip
    report = check(data, CLASSIFY, cache=cache).as_dict()
    assert levels(report, "finetuning_record") == ["warning"]
    assert levels(report, "finetuning_leak") == ["error"]
    assert "row 15 (made of row 20) = test row 1" in next(
        finding["where"] for finding in report["findings"] if finding["code"] == "finetuning_leak"
    )


def test_pairs_of_texts_and_single_texts_do_not_go_together(lines, cache) -> None:
    pairs = [{"sentence1": row["text"], "sentence2": "it was", "label": row["label"]} for row in labelled(40)]
    data = DataConfig(
        source=lines(pairs), finetuning_source=lines(labelled(20, 100), "single.jsonl"), training="together"
    )
    with pytest.raises(DataError, match="pairs of texts"):
        load_roles(data, CLASSIFY, cache=cache)
    report = check(data, CLASSIFY, cache=cache).as_dict()
    assert (report["ok"], [finding["code"] for finding in report["findings"]]) == (False, ["unusable"])


def test_named_columns_are_the_original_s(tmp_path, lines, cache) -> None:
    rows = [{"body": row["text"], "kind": row["label"], "text": "not this"} for row in labelled(40)]
    own = finetuning(lines(labelled(20, 100), "development.jsonl"), tmp_path / "ft.jsonl")
    data = DataConfig(
        source=lines(rows), columns={"text": "body", "label": "kind"}, finetuning_source=own, training="together",
        format="jsonl",
    )  # fmt: skip
    assert load_roles(data, CLASSIFY, cache=cache).train["text"][-1] == labelled(20, 100)[-1]["text"]


def test_runs_that_learnt_from_other_sets_are_compared_on_the_same_rows() -> None:
    from core.runs.alike import strategies_of
    from core.runs.records import RunRecord, Status

    def run(number: int, **data: object) -> RunRecord:
        plan = Plan.model_validate({"data": {"finetuning_source": "ft.jsonl", **data}}).model_dump(mode="json")
        return RunRecord(
            f"run-{number}", "train", "name", Status.FINISHED, plan, (), number, None, None, 4.0, None, "process",
            None, None, metrics={},
        )  # fmt: skip

    found = strategies_of([run(1), run(2, training="together"), run(3, training="together", test_source="test.csv")])
    assert len(found) == 3
    assert found[0].rows == found[1].rows
    assert found[0].rows != found[2].rows
