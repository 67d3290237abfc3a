"""Proposals of a search: what is held does not move, and what is repeated proposes the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from core.config import Stage
from core.config.space import Dimension, dimensions
from core.training.search.history import History, Tried
from core.training.search.study import Study

SPACE: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "batch_size": {"low": 8, "high": 64, "step": 8},
    "optimizer.name": {"choices": ["adamw", "sgd", None][:2]},
    "dropout": {"choices": [None, 0.0, 0.3]},
}
SAMPLERS = ["tpe", "gp", "cmaes", "qmc", "random"]


def stage(space: dict[str, Any] = SPACE, **search: Any) -> Stage:
    return Stage.model_validate({"kind": "search", "search": {"space": space, "startup_trials": 3, **search}})


def study(one: Stage, directions: tuple[str, ...] = ("maximize",), seed: int = 0, evaluations: int = 9) -> Study:
    assert one.search is not None
    return Study(one.search, dimensions(one), directions, seed, evaluations)


def score(values: dict[str, Any]) -> float:
    """Best at a rate of 1e-3 with 32 texts."""
    return 1 - abs(math.log10(values["lr"]) + 3) / 4 - abs(values["batch_size"] - 32) / 100


def go_on(one: Study, count: int) -> list[Tried]:
    done = []
    for _ in range(count):
        number, values = one.ask()
        tried = Tried(number, values, "finished", [score(values)])
        one.tell(tried)
        done.append(tried)
    return done


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_held_field_never_moves_and_the_others_do(sampler: str) -> None:
    space = {**SPACE, "lr": {**SPACE["lr"], "fixed": 0.01}, "dropout": {**SPACE["dropout"], "fixed": 0.3}}
    done = go_on(study(stage(space, sampler=sampler)), 8)
    assert {one.values["lr"] for one in done} == {0.01}
    assert {one.values["dropout"] for one in done} == {0.3}
    assert len({one.values["batch_size"] for one in done}) > 2
    assert {one.values["optimizer.name"] for one in done} == {"adamw", "sgd"}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_values_of_the_space_in_the_fields_own_types(sampler: str) -> None:
    for one in go_on(study(stage(sampler=sampler)), 8):
        assert isinstance(one.values["lr"], float)
        assert 1e-5 <= one.values["lr"] <= 1e-1
        assert type(one.values["batch_size"]) is int
        assert one.values["batch_size"] in range(8, 65, 8)
        assert one.values["dropout"] in (None, 0.0, 0.3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_repeated_search_proposes_the_same_and_another_seed_does_not(sampler: str) -> None:
    first, second, other = (
        [one.values for one in go_on(study(stage(sampler=sampler), seed=seed), 6)] for seed in (0, 0, 1)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("cut", [2, 5])
def test_a_search_that_goes_on_proposes_what_it_would_have_proposed(sampler: str, cut: int) -> None:
    whole = go_on(study(stage(sampler=sampler)), 7)
    resumed = study(stage(sampler=sampler))
    assert resumed.restore(whole[:cut]) == []
    assert go_on(resumed, 7 - cut) == whole[cut:]


@pytest.mark.parametrize("sampler", ["qmc", "cmaes"])
def test_trials_that_would_be_proposed_otherwise_now_count_all_the_same(sampler: str) -> None:
    done = go_on(study(stage(sampler=sampler)), 6)
    done[3].values["lr"] = 0.05  # as another version of the sampler might have
    done[3].scores = [9.0]
    resumed = study(stage(sampler=sampler))
    assert resumed.restore(done) == [3]
    assert resumed.best() is not None
    number, _ = resumed.ask()
    assert number > 5


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_a_sampler_that_learns_is_better_in_the_end_than_in_the_beginning(sampler: str) -> None:
    space = {name: SPACE[name] for name in ("lr", "batch_size")}
    found = [score(one.values) for one in go_on(study(stage(space, sampler=sampler)), 40)]
    assert sum(found[-10:]) > sum(found[:10])


def drive(one: Study, curves: list[list[float]]) -> list[Tried]:
    """Take trials whose evaluations score as given, and end those that the pruner ends."""
    done = []
    for curve in curves:
        number, values = one.ask()
        tried = Tried(number, values, "finished", [max(curve)])
        for at, value in enumerate(curve, 1):
            tried.steps[at] = value
            if one.report(value, at):
                tried.state, tried.scores = "pruned", None
                break
        one.tell(tried)
        done.append(tried)
    return done


GOOD = [0.5, 0.7, 0.8, 0.85, 0.9, 0.9, 0.91, 0.92, 0.93]
BAD = [0.5, 0.5, 0.5, 0.5, 0.49, 0.48, 0.47, 0.46, 0.45]


@pytest.mark.parametrize("pruner", ["median", "patient", "hyperband"])
def test_a_hopeless_trial_is_ended_early_and_a_good_one_is_not(pruner: str) -> None:
    done = drive(study(stage(sampler="random", pruner=pruner)), [GOOD] * 8 + [BAD] * 8 + [[1.0] * 9])
    assert [one.state for one in done[:4]] == ["finished"] * 4
    assert "pruned" in [one.state for one in done[8:16]]
    assert done[-1].state == "finished"


def test_wilcoxon_ends_a_trial_whose_seeds_are_worse_than_the_best_ones() -> None:
    one = study(stage(sampler="random", pruner="wilcoxon", seeds=8))
    best, worse = [0.9, 0.91, 0.92, 0.9, 0.93, 0.9, 0.91, 0.92], [0.8, 0.81, 0.8, 0.79, 0.8, 0.8, 0.8, 0.8]
    first, second = drive(one, [best, worse])
    assert first.state == "finished"
    assert second.state == "pruned"
    assert len(second.steps) < 8


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_search_that_goes_on_prunes_as_it_would_have(pruner: str) -> None:
    curves = [GOOD, BAD, GOOD[::-1], BAD, GOOD, BAD, BAD[::-1], GOOD, BAD, BAD, GOOD, BAD]
    make = lambda: study(stage(sampler="random", pruner=pruner))  # noqa: E731
    whole = drive(make(), curves)
    resumed = make()
    resumed.restore(whole[:7])
    assert drive(resumed, curves[7:]) == whole[7:]


def test_with_several_objectives_the_front_holds_what_no_trial_beats() -> None:
    one = study(stage(sampler="tpe"), directions=("maximize", "minimize"))
    for number, scores in enumerate([[0.9, 10.0], [0.8, 5.0], [0.7, 7.0], [0.95, 20.0], [0.5, 5.0]]):
        asked, values = one.ask()
        assert asked == number
        assert not one.report(scores[0], 1)  # nothing is pruned
        one.tell(Tried(number, values, "finished", scores))
    assert one.front() == [0, 1, 3]
    assert one.best() == 3


def test_a_failed_trial_is_never_the_best_and_of_equal_ones_the_first_is() -> None:
    one = study(stage(sampler="random"))
    for number, (state, scores) in enumerate([("failed", None), ("finished", [0.5]), ("finished", [0.5])]):
        _, values = one.ask()
        one.tell(Tried(number, values, state, scores))  # type: ignore[arg-type]
    assert one.best() == 1


def test_importance_needs_trials_and_names_the_field_that_matters() -> None:
    one = study(stage(sampler="random"))
    done = []
    for number in range(40):
        _, values = one.ask()
        tried = Tried(number, values, "finished", [-abs(math.log10(values["lr"]) + 3)])
        one.tell(tried)
        done.append(tried)
        if number == 6:
            assert one.importance(["accuracy"]) is None
    found = one.importance(["accuracy"])
    assert found is not None
    assert sum(found["accuracy"].values()) == pytest.approx(1)
    assert max(found["accuracy"], key=lambda key: found["accuracy"][key]) == "lr"


def history(trials: list[Tried]) -> History:
    one = stage()
    found = History.new(one, 2, dimensions(one), [{"metric": "accuracy", "direction": "maximize"}], "key")
    found.trials = trials
    return found


def test_the_history_comes_back_as_it_was_written_and_is_plain_json(tmp_path: Path) -> None:
    done = go_on(study(stage(sampler="cmaes")), 8)
    done[1].steps = {1: 0.25, 10: 0.5}
    done[1].seeds = [[0.4], [0.6]]
    written = history(done)
    written.write(tmp_path)
    assert History.read(tmp_path, 2) == written
    assert History.read(tmp_path, 0) is None
    text = (tmp_path / "search" / "2.json").read_text()
    assert json.loads(text)["trials"][1]["steps"] == {"1": 0.25, "10": 0.5}
    assert "optimizer:" not in text  # CMA-ES's pickled state stays out
    assert done[1].spread() == pytest.approx(math.sqrt(0.02))
    assert done[0].spread() is None


@pytest.mark.parametrize("sampler", ["tpe", "gp", "qmc", "random"])
def test_going_on_unpickles_nothing(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def refuse(*_: Any) -> None:
        raise AssertionError("something was unpickled")

    done = go_on(study(stage(sampler=sampler)), 6)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    resumed = study(stage(sampler=sampler))
    resumed.restore(done)
    resumed.ask()


def test_the_same_values_are_found_again() -> None:
    first = Tried(0, {"lr": 0.1}, "finished", [0.5])
    found = history([first, Tried(1, {"lr": 0.1}, "finished", [0.5], repeats=0)])
    assert found.same({"lr": 0.1}) is first
    assert found.same({"lr": 0.2}) is None


def test_dimensions_without_end_and_fixed_ones_become_distributions() -> None:
    from core.training.search.study import distribution

    assert distribution(Dimension("batch_size", "int", 8, 64, 8)).single() is False
    assert distribution(Dimension("lr", "float", 1e-5, 1e-3, log=True)).to_internal_repr(1e-4) == 1e-4
