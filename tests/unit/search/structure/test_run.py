"""A whole search of a tiny parent: every phase, stopped anywhere and gone on with, and what it leaves."""

from __future__ import annotations

import gc
import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel, BertModel

from core.config.structure import TOLERANCE
from core.errors import ConfigError, DataError, ModelError, TrainingDiverged
from core.models.shaped.modeling import ShapedBertModel
from core.models.shaped.register import register
from core.search.structure import halving
from core.search.structure import run as running
from core.search.structure.records import SearchRecord, read_candidates
from core.search.structure.run import run
from core.search.structure.view import view
from core.training.context import MemoryChild, MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder
from tests.unit.search.structure.made import config_of, context_of, material, told
from tests.unit.search.test_statistics import corpus


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def given(place: Path) -> dict[str, Any]:
    return material(place)


class Watched(MemoryContext):
    """Counts how many encoders are alive whenever a loss of a candidate is told."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        super().metrics(step, values)
        if any(name.startswith("search/rank/") for name in values):
            self.state["alive"] = max(self.state.get("alive", 0), encoders() - self.state["before"])


def encoders() -> int:
    """Return how many encoders this process holds."""
    return sum(type(one) in (ShapedBertModel, BertModel) for one in gc.get_objects())


@pytest.fixture(scope="module")
def whole(place: Path, given: dict[str, Any]) -> MemoryContext:
    """A search that nothing disturbed."""
    context = Watched(context_of(place / "whole", place / "cache").folder, place / "cache")
    gc.collect()
    context.state["before"] = encoders()
    assert run(config_of(given), context) is Outcome.FINISHED
    return context


def test_every_candidate_meets_the_budget_and_is_ranked_within_its_depth(whole: MemoryContext) -> None:
    found = view(whole.folder)
    assert found is not None
    assert found["ended"]
    budget = found["budget"]["parameters"]
    ranks = Counter()
    for one in found["candidates"]:
        assert abs(one["parameters"] - budget) <= TOLERANCE * budget
        assert one["rank_loss"] > 0
        ranks[one["depth"]] += 1
    for depth, count in ranks.items():
        ones = sorted((one for one in found["candidates"] if one["depth"] == depth), key=lambda one: one["rank"])
        assert [one["rank"] for one in ones] == list(range(1, count + 1))
        assert [one["rank_loss"] for one in ones] == sorted(one["rank_loss"] for one in ones)


def test_each_depth_has_its_even_shape_which_is_trained_as_a_reference(whole: MemoryContext) -> None:
    found = view(whole.folder)
    assert found is not None
    even = [one for one in found["candidates"] if one["source"] == "uniform"]
    assert {one["depth"] for one in even} == {2, 3}
    for depth in (2, 3):
        best = min((one for one in even if one["depth"] == depth), key=lambda one: one["rank"])
        assert best["rungs"]
    assert any(one["key"] in found["rungs"][-1] for one in even)


def test_training_goes_on_from_rung_to_rung_and_only_the_best_go_on(whole: MemoryContext) -> None:
    found = view(whole.folder)
    assert found is not None
    by_key = {one["key"]: one for one in found["candidates"]}
    first, second = found["rungs"]
    assert set(second) < set(first)
    dropped = [by_key[key]["rungs"][0]["loss"] for key in first if key not in second]
    chosen = [by_key[key]["rungs"][0]["loss"] for key in second if key not in found["references"]]
    assert max(chosen) <= min(dropped)
    for key in second:
        one, other = by_key[key]["rungs"]
        assert (one["steps"], other["steps"]) == (3, 6)
        assert other["before"] == one["loss"]
        assert one["before"] == pytest.approx(by_key[key]["rank_loss"], rel=1e-6)
        assert [step for step, _ in other["curve"]] == sorted({step for step, _ in other["curve"]})
        assert other["curve"][0][0] > 3
    states = Counter(one["state"] for one in found["candidates"])
    assert states == {"left": len(second), "dropped": len(found["candidates"]) - len(second)}


def test_the_front_grows_and_is_told_while_the_search_goes_on(whole: MemoryContext) -> None:
    volumes = [value for _, value in whole.series("search/hypervolume")]
    losses = [value for _, value in whole.series("search/best_loss")]
    assert volumes == sorted(volumes)
    assert losses == sorted(losses, reverse=True)
    assert 0 < volumes[-1] < 1
    results = json.loads((whole.folder / "results.json").read_text())
    assert results["metrics"]["search/hypervolume"] == volumes[-1]
    assert results["metrics"]["search/best_loss"] == losses[-1]
    assert whole.state["phase"] == "finished"
    assert whole.state["step"] == whole.state["total_steps"]


def test_those_on_the_front_leave_encoders_that_load_and_the_others_nothing(whole: MemoryContext) -> None:
    record = SearchRecord.read(whole.folder)
    assert record is not None
    register()
    with_model = {key for key in record.order if (whole.folder / f"children/candidate-{key}/best").is_dir()}
    assert with_model == set(record.front)
    assert not (whole.folder / "students").exists()
    for key in record.front:
        folder = whole.folder / f"children/candidate-{key}/best"
        model = AutoModel.from_pretrained(folder)
        assert sum(one.numel() for one in model.parameters()) == read_candidates(whole.folder)[key].total
        assert "Distance to the parent" in (folder / "README.md").read_text()


def test_no_weights_stay_in_memory_once_a_candidate_is_ranked(whole: MemoryContext) -> None:
    assert whole.state["alive"] == 1  # the parent


def test_those_that_are_trained_are_runs_of_their_own(whole: MemoryContext) -> None:
    record = SearchRecord.read(whole.folder)
    assert record is not None
    assert set(whole.children) == {f"candidate-{key}" for key in record.rungs[0]}
    for key in record.rungs[-1]:
        child = whole.children[f"candidate-{key}"]
        assert child.ended == "finished"
        assert [step for step, _ in child.series("train/loss")][-1] == 6
        assert child.result["held/after"] == read_candidates(whole.folder)[key].loss
        assert child.plan is not None
        assert type(child.plan).model_validate(child.plan.model_dump(mode="json")) == child.plan


def test_the_end_says_how_the_best_stands_beside_the_best_even_shape(whole: MemoryContext) -> None:
    said = json.loads((whole.folder / "results.json").read_text())["details"]["conclusion"]
    assert said["best_loss"] <= said["even_loss"]
    assert ("one search with one seed" in said["words"]) != (said["best"] == said["even"])


def test_a_finished_search_is_not_done_again(whole: MemoryContext, given: dict[str, Any]) -> None:
    before = told(whole.folder)
    again = MemoryContext(whole.folder, whole.cache)
    assert run(config_of(given), again) is Outcome.FINISHED
    assert again.events == []
    assert told(whole.folder) == before


class Killed(BaseException):
    """Ends a search as a killed process does: at once, wherever it is."""


def killed(*values: Any) -> None:
    """Take the place of a phase: the search ends before it."""
    raise Killed


class Doomed(MemoryContext):
    """Kills at the n-th word that the search tells."""

    left = 10**9

    def _word(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Killed

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._word()
        super().metrics(step, values)

    def event(self, kind: str, message: str, **values: Any) -> None:
        self._word()
        super().event(kind, message, **values)

    def progress(self, **values: Any) -> None:
        self._word()
        super().progress(**values)


def test_a_search_that_is_killed_again_and_again_ends_with_the_same_front(
    whole: MemoryContext, given: dict[str, Any], place: Path
) -> None:
    struck, blows = place / "struck", 0
    while True:
        context = Doomed(context_of(struck, whole.cache).folder, whole.cache)
        context.left = 4 + 6 * blows  # in the statistics at first
        try:
            assert run(config_of(given), context) is Outcome.FINISHED
            break
        except Killed:
            blows += 1
            assert blows < 40
    assert blows >= 2
    assert told(struck) == told(whole.folder)


def test_a_pause_in_the_middle_of_a_rung_keeps_the_steps(
    whole: MemoryContext, given: dict[str, Any], place: Path
) -> None:
    context = context_of(place / "paused", whole.cache)
    ranked = len(read_candidates(whole.folder))
    asked: list[int] = []

    class Asking(MemoryContext):
        def request(self) -> Request:
            trained = [one for one in self.children.values() if one.series("train/loss")]
            if not asked and trained and trained[0].series("train/loss")[-1][0] == 2:
                asked.append(2)
                return Request.PAUSE
            return Request.NONE

    first = Asking(context.folder, context.cache)
    assert run(config_of(given), first) is Outcome.PAUSED
    assert len(read_candidates(context.folder)) == ranked
    opened: list[MemoryContext] = []

    class Opening(MemoryContext):
        def child(self, key: str, **values: Any) -> MemoryChild:
            opened.append(super().child(key, **values))
            return self.children[key]

    assert run(config_of(given), Opening(context.folder, context.cache)) is Outcome.FINISHED
    assert [step for step, _ in opened[0].series("train/loss")] == [3]  # the first two are not done again
    assert told(context.folder) == told(whole.folder)


def test_weights_that_were_lost_are_made_again(whole: MemoryContext, given: dict[str, Any], place: Path) -> None:
    folder = place / "lost"
    context = Doomed(context_of(folder, whole.cache).folder, whole.cache)

    class Losing(Doomed):
        def event(self, kind: str, message: str, **values: Any) -> None:
            super().event(kind, message, **values)
            if message.startswith("Rung 2"):
                raise Killed

    with pytest.raises(Killed):
        run(config_of(given), Losing(context.folder, context.cache))
    lost = SearchRecord.read(whole.folder).rungs[1][0]  # type: ignore[union-attr]
    (folder / "students" / lost / "model.safetensors").unlink()
    assert run(config_of(given), MemoryContext(context.folder, context.cache)) is Outcome.FINISHED
    assert told(folder) == told(whole.folder)


def test_the_parent_is_run_over_the_texts_once_for_all_candidates(
    given: dict[str, Any], whole: MemoryContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = running.calibrated
    monkeypatch.setattr(running, "calibrated", lambda *values: made.append(1) or real(*values))
    monkeypatch.setattr(running, "halve", killed)
    with pytest.raises(Killed):
        run(config_of(given), context_of(place / "once", whole.cache))
    assert made == [1]


def test_a_random_search_costs_the_same(
    whole: MemoryContext, given: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(place / "random", whole.cache)
    monkeypatch.setattr(running, "halve", killed)
    with pytest.raises(Killed):
        run(config_of(given, random=True), context)
    found, usual = view(context.folder), view(whole.folder)
    assert found is not None
    assert usual is not None
    assert {one["source"] for one in found["candidates"]} <= {"uniform", "random"}
    assert found["sampler"] == "random"
    assert len(found["candidates"]) == len(usual["candidates"])
    assert found["depths"] == usual["depths"]


def test_tpe_proposes_as_many_candidates_and_goes_on_where_it_was(
    given: dict[str, Any], whole: MemoryContext, place: Path
) -> None:
    config = config_of(given, sampler="tpe", depths=[3], candidates=4, halving={"enter": 1, "rungs": [1],
                       "batch_tokens": 256, "sentences": 150})  # fmt: skip
    calm = context_of(place / "tpe", whole.cache)
    assert run(config, calm) is Outcome.FINISHED
    sources = Counter(one.source for one in read_candidates(calm.folder).values())
    assert sources.total() == 4
    assert set(sources) == {"uniform", "tpe"}
    struck = Doomed(context_of(place / "tpe-struck", whole.cache).folder, whole.cache)
    struck.left = 12
    with pytest.raises(Killed):
        run(config, struck)
    assert run(config, MemoryContext(struck.folder, whole.cache)) is Outcome.FINISHED
    assert told(struck.folder) == told(calm.folder)


def test_one_that_diverges_goes_no_further_and_the_search_goes_on(
    given: dict[str, Any], whole: MemoryContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = halving.distil_states, []

    def some(*values: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise TrainingDiverged("The loss is nan at step 1.")
        return real(*values, **options)

    monkeypatch.setattr(halving, "distil_states", some)
    context = context_of(place / "diverged", whole.cache)
    assert run(config_of(given), context) is Outcome.FINISHED
    found = view(context.folder)
    assert found is not None
    (failed,) = [one for one in found["candidates"] if one["state"] == "failed"]
    assert failed["key"] not in (*found["rungs"][1], *found["front"])
    assert failed["loss"] is None
    assert context.children[f"candidate-{failed['key']}"].ended == "failed"
    assert any("diverged" in words for words in found["notices"])


def test_a_search_in_which_all_diverge_says_what_to_do(
    given: dict[str, Any], whole: MemoryContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*values: Any, **options: Any) -> Any:
        raise TrainingDiverged("The loss is nan at step 1.")

    monkeypatch.setattr(halving, "distil_states", none)
    with pytest.raises(TrainingDiverged, match=r"All .* diverged.*Lower the learning rate"):
        run(config_of(given), context_of(place / "all-diverged", whole.cache))


def test_finalists_are_fine_tuned_and_scored(given: dict[str, Any], whole: MemoryContext, place: Path) -> None:
    from tests.unit.runs.test_exact_resume import write_data

    rows = write_data(place / "rows.csv")
    tune = {"data": {"source": str(rows), "train_rows": 60, "gate_rows": 20, "test_rows": 20}, "steps": 3,
            "batch_size": 4}  # fmt: skip
    config = config_of(given, finetune=tune, objectives=["flops", "score"], candidates=3, depths=[3],
                       halving={"enter": 1, "rungs": [2], "batch_tokens": 256, "sentences": 150})  # fmt: skip
    context = context_of(place / "scored", whole.cache)
    assert run(config, context) is Outcome.FINISHED
    found = view(context.folder)
    assert found is not None
    scored = [one for one in found["candidates"] if one["score"] is not None]
    assert {one["key"] for one in scored} == set(found["rungs"][-1])
    for one in scored:
        assert 0 <= one["score"] <= 1
        assert one["metric"] == "accuracy"
        assert "accuracy" in one["test"]
        child = context.children[f"finetune-{one['key']}"]
        assert child.plan.model.source.endswith(f"candidate-{one['key']}/best")  # type: ignore[union-attr]
    assert set(found["front"]) <= {one["key"] for one in scored}
    assert found["history"][-1]["objectives"] == ["flops", "score"]
    assert math.isfinite(found["hypervolume"])


def test_a_limit_of_time_that_no_shape_meets_names_the_fastest(
    given: dict[str, Any], whole: MemoryContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.search.latency import Latency

    monkeypatch.setattr(running, "latency_of", lambda *values, **options: Latency(5.25, 6.0, 50.0, 31, 1))
    config = config_of(given, budget={"share": 0.6, "latency_ms": 5.0})
    with pytest.raises(ConfigError, match=r"takes at most 5 ms on this machine.*5\.25 ms, which the fastest"):
        run(config, context_of(place / "slow", whole.cache))


def test_another_config_begins_anew(whole: MemoryContext, given: dict[str, Any], place: Path) -> None:
    context = Doomed(context_of(place / "changed", whole.cache).folder, whole.cache)
    context.left = 14
    with pytest.raises(Killed):
        run(config_of(given), context)
    few = {"enter": 1, "rungs": [1], "batch_tokens": 256, "sentences": 150}
    other = config_of(given, candidates=3, depths=[3], runtime={"threads": 1, "seed": 5}, halving=few)
    assert run(other, MemoryContext(context.folder, context.cache)) is Outcome.FINISHED
    assert len(read_candidates(context.folder)) == 3


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"budget": {"parameters": 5}}, ConfigError, "nearest budget"),
        ({"depths": [4]}, ConfigError, "parent has only 3"),
    ],
)
def test_what_cannot_be_is_refused_before_statistics_are_measured(
    changes: dict[str, Any], kind: type[Exception], said: str, given: dict[str, Any], tmp_path: Path
) -> None:
    context = context_of(tmp_path / "run", tmp_path / "cache")
    with pytest.raises(kind, match=said):
        run(config_of(given, **changes), context)
    assert not (tmp_path / "cache" / "statistics").exists()


def test_other_families_and_tiny_corpora_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    other = tiny_encoder(tmp_path / "distilbert", "distilbert")
    with pytest.raises(ModelError, match="plain BERT"):
        run(config_of({**given, "model": {"source": str(other)}}), context_of(tmp_path / "a", tmp_path / "cache"))
    small = {"source": str(corpus(tmp_path, 10)), "min_count": 1}
    with pytest.raises(DataError, match="at least 50 sentences and 200 words"):
        run(config_of({**given, "corpus": small}), context_of(tmp_path / "b", tmp_path / "cache"))


def test_the_page_of_a_candidate_finds_what_it_shows_of_a_distilled_student(whole: MemoryContext) -> None:
    from pages.ui.run_distilled import layer_rows

    for child in whole.children.values():
        results = json.loads((child.folder / "results.json").read_text())
        found = results["details"]["distil"]
        assert found["distance"]["loss"] == pytest.approx(found["after"], rel=1e-6)
        rows = layer_rows(found)
        assert [row["width"] for row in rows] == [layer["width"] for layer in found["shape"]["layers"]]
        assert {"before", "after", "steps", "body", "parameters", "parent"} <= found.keys()
