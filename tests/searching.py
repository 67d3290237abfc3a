"""A run with a range test and a search in a store, without training: for tests of what is read and shown."""

from __future__ import annotations

import math
import random
from typing import Any

from core.config import Plan
from core.config.space import dimensions
from core.runs.children import open_child
from core.runs.claims import Claim
from core.runs.control import Control
from core.runs.events import NewEvent
from core.runs.line import Batch, StoreLine
from core.runs.records import Status
from core.runs.store import Store
from core.training.context import Ended, Request
from core.training.range_test import analyse, rates, smooth
from core.training.search.history import History, Tried

HOSTILE = "look <b>*$"

SPACE: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "batch_size": {"choices": [8, 16, 32]},
    "optimizer.name": {"choices": ["adamw", "sgd"], "fixed": "adamw"},
    "dropout": {"choices": [None, 0.0, 0.3]},
    "weight_decay": {"low": 0.0, "high": 0.2},
}


def plan_of(objectives: int = 1, seeds: int = 1, **search: Any) -> Plan:
    """Return a plan of a range test and a search, which train nothing themselves."""
    named = [{"metric": "accuracy"}, {"metric": "seconds"}, {"metric": "parameters"}][:objectives]
    return Plan.model_validate(
        {"name": "hunt", "stages": [
            {"name": "find", "kind": "range_test", "range_test": {"steps": 60}},
            {"name": HOSTILE, "kind": "search",
             "search": {"space": SPACE, "trials": 20, "seeds": seeds, "objectives": named, **search}}]}
    )  # fmt: skip


def history_of(plan: Plan, trials: int = 12, index: int = 1) -> History:
    """Return a history: trial 5 failed, 6 was ended early, 7 repeats 1."""
    stage = plan.stages[index]
    assert stage.search is not None
    chance = random.Random(1)
    named = [{"metric": one.metric, "direction": one.way} for one in stage.search.objectives]
    found = History.new(stage, index, dimensions(stage), named, "key")
    for number in range(trials):
        values = {"lr": 10 ** chance.uniform(-5, -1), "batch_size": chance.choice([8, 16, 32]),
                  "optimizer.name": "adamw", "dropout": chance.choice([None, 0.0, 0.3]),
                  "weight_decay": chance.uniform(0, 0.2)}  # fmt: skip
        scores = [[0.9 - abs(math.log10(values["lr"]) + 3) / 10 + 0.01 * seed, 1.0 + number / 3, 100.0 * number]
                  [: len(named)] for seed in range(stage.search.seeds)]  # fmt: skip
        mean = [sum(column) / len(column) for column in zip(*scores, strict=True)]
        tried = Tried(number, values, "finished", mean, scores, {1: 0.5, 2: mean[0]}, [], 1.5)
        if number == 5:
            tried = Tried(number, values, "failed", error="The loss is no number.", seconds=0.5)
        if number == 6:
            tried = Tried(number, values, "pruned", steps={1: 0.4}, seconds=0.5)
        if number == 7:
            tried = Tried(number, dict(found.trials[1].values), "finished", list(found.trials[1].scores or []),
                          [list(one) for one in found.trials[1].seeds], repeats=1)  # fmt: skip
        found.trials.append(tried)
    done = [one for one in found.trials if one.scores and one.repeats is None]
    found.best = max(done, key=lambda one: (one.scores or [0.0])[0]).number if done else None
    found.front = sorted({0, found.best}) if found.best is not None else []
    if len(done) >= 8:
        found.importance = {one["metric"]: {"lr": 0.7, "batch_size": 0.2, "dropout": 0.1} for one in named}
    return found


def begin(store: Store, plan: Plan) -> Claim:
    """Put a running run into the store."""
    Control(store).submit(plan)
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(claim.id, claim.token)
    return claim


def searched(store: Store, *, plan: Plan | None = None, trials: int = 12, ended: bool = True) -> str:
    """Put a run with a range test, a search and the trials' runs into the store; return its id."""
    plan = plan or plan_of()
    claim = begin(store, plan)
    history = history_of(plan, trials)
    ends: dict[str, Ended] = {"finished": "finished", "pruned": "cancelled", "failed": "failed"}
    for one in history.trials:
        if one.repeats is None:
            name = f"hunt · trial {one.number + 1}"
            part = open_child(
                store, claim, lambda: Request.NONE, f"1-{one.number}", name=name, plan=Plan(name="a trial"),
                tags=["trial"],
            )  # fmt: skip
            part.finish(ends[one.state])
            one.runs = [part.id]
    history.ended = "all 12 trials were made" if ended else None
    place = store.home.run(claim.id)
    history.write(place)
    tell_range_test(store, claim, plan)
    if ended:
        store.claims.end(claim.id, claim.token, Status.FINISHED)
    return claim.id


def tell_range_test(store: Store, claim: Claim, plan: Plan, *, decide: bool = True) -> None:
    """Write the series of the range test, and its decision."""
    config = plan.stages[0].range_test
    assert config is not None
    lrs = rates(config)
    losses = [0.7 - 0.4 / (1 + math.exp(-(math.log(lr) + 7))) for lr in lrs]
    mean = smooth(losses, config.smoothing).tolist()
    points = [
        (f"range/find/all/{name}", step, value, 1.0)
        for name, values in (("lr", lrs), ("loss", losses), ("smoothed", mean))
        for step, value in enumerate(values, 1)
    ]
    found = analyse("all", lrs, losses, config)
    event = NewEvent("decision", found.reason, 0, {
        "stage": "find", "rule": "range_test", "action": "suggest",
        "evidence": {"suggestion": {"lr": found.lr}, "groups": [found.as_dict()]},
    })  # fmt: skip
    StoreLine(store, claim).write(Batch(points, [event] if decide else []))
