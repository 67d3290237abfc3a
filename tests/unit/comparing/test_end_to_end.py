"""A comparison with real training: a tiny encoder, rows that are read and cut once, answers of kept weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.config import Comparison
from core.config.joint import JointPlan
from core.errors import DataError
from core.studies.comparing.plans import jobs_of, plan_of
from core.studies.comparing.run import run
from core.training import train
from core.training.context import MemoryContext, Outcome
from core.training.joint.material import load_joint
from core.training.sharing import shared
from tests.tiny import tiny_encoder

_PLACES = (("left", "out"), ("entered", "in"), ("love", "none"))


@pytest.fixture
def config(tmp_path: Path) -> Comparison:
    words = (("good", "pos"), ("bad", "neg"))
    rows = [f"{n} film {'very ' * (n % 5)}{word},{label}" for n in range(120) for word, label in (words[n % 2],)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows, ""]))
    return Comparison.model_validate(
        {
            "strategies": [{"name": "all"}, {"name": "head", "encoder": "frozen", "stage": {"lr": 0.01}}],
            "tasks": [{"name": "films", "data": {"source": str(tmp_path / "rows.csv"), "test_share": 0.3}}],
            "seeds": 2, "budget": {"steps": 6}, "stage": {"batch_size": 16, "eval_every": 3},
            "model": {"source": str(tiny_encoder(tmp_path / "encoder")), "max_length": 32},
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )  # fmt: skip


def test_runs_share_rows_and_keep_the_first_seeds_weights(config: Comparison, tmp_path: Path) -> None:
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    context.folder.mkdir()
    with shared() as shelf:
        assert run(config, context) is Outcome.FINISHED
    # rows: looked at once before, by four runs, and once at the end; tokens: by four runs
    assert shelf.again == 5 + 3
    found = json.loads((context.folder / "results.json").read_text())
    assert {one["strategy"]: one["steps"] for one in found["runs"]} == {"all": 6, "head": 6}
    assert [bool(one["tasks"]["films"]["model"]) for one in found["runs"]] == [True, True, False, False]
    assert found["data"]["films"]["fingerprint"]
    assert found["data"]["films"]["rows"]["test"] == 36
    cost = {one["strategy"]: one for one in found["details"]["costs"]}
    assert cost["all"]["parameters"] == cost["head"]["parameters"] > 1000
    assert cost["all"]["examples"] == {"films": 72 + 16}  # 120 rows without 36 and 12; five steps a pass
    lengths = found["details"]["lengths"]
    assert sum(one["support"] for one in lengths) == 36
    for one in found["details"]["disagreements"]:
        assert one["gold"] in ("pos", "neg")
        assert set(one["answers"]) == {"all", "head"}
        assert one["scores"]["all"] != one["scores"]["head"]


def test_a_joint_strategy_is_trained_judged_and_asked(config: Comparison, tmp_path: Path) -> None:
    rows = [f"{n} people {word} home,{label}" for n in range(90) for word, label in (_PLACES[n % 3],)]
    (tmp_path / "places.csv").write_text("\n".join(["text,label", *rows, ""]))
    values = config.model_dump(mode="json")
    values["tasks"].append({"name": "places", "data": {"source": str(tmp_path / "places.csv"), "test_share": 0.3}})
    together = {"name": "together", "sharing": "joint"}
    values |= {"strategies": [{"name": "apart"}, together], "seeds": 1, "budget": {"rule": "examples", "examples": 90}}
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    context.folder.mkdir()
    run(Comparison.model_validate(values), context)
    found = json.loads((context.folder / "results.json").read_text())
    cost = {one["strategy"]: one for one in found["details"]["costs"]}
    assert cost["apart"]["examples"] == cost["together"]["examples"] == {"films": 90, "places": 90}
    assert cost["apart"]["shared_parameters"] == 0
    assert 0 < cost["together"]["shared_parameters"] < cost["together"]["parameters"] < cost["apart"]["parameters"]
    assert [one["seeds"] for one in found["details"]["standings"]] == [1, 1, 1, 1]
    assert [one["verdict"] for one in found["details"]["verdicts"]] == ["no verdict", "no verdict"]
    assert all(one["difference"] is not None for one in found["details"]["verdicts"])
    models = [each["model"] for one in found["runs"] for each in one["tasks"].values()]
    assert len(models) == 4
    assert all((context.folder / one / "config.json").is_file() for one in models)
    assert all(set(one["answers"]) == {"apart", "together"} for one in found["details"]["disagreements"])


@pytest.mark.parametrize("rule", ["steps", "examples"])
def test_all_strategies_train_on_the_same_rows(config: Comparison, tmp_path: Path, rule: str) -> None:
    texts = [f"{n} film {'very ' * (n % 5)}{('good', 'bad')[n % 2]}" for n in range(120)]
    rows = [f"{text},{('long', 'short')[n % 5 < 3]}" for n, text in enumerate(texts)]
    (tmp_path / "lengths.csv").write_text("\n".join(["text,label", *rows, ""]))
    values = config.model_dump(mode="json")
    values["tasks"].append(
        {"name": "lengths", "data": {"source": str(tmp_path / "lengths.csv"), "test_share": 0.3, "split_seed": 3}}
    )
    for task in values["tasks"]:
        task["data"]["drop_duplicates"] = True
    values |= {
        "strategies": [{"name": "apart"}, {"name": "together", "sharing": "joint"}], "seeds": 1,
        "budget": {"rule": rule, "steps": 6, "examples": 90},
    }  # fmt: skip
    config = Comparison.model_validate(values)
    plans = [plan_of(config, job) for job in jobs_of(config)]
    assert all(isinstance(plan, JointPlan) for plan in plans)
    found = [load_joint(plan, tmp_path / "cache") for plan in plans]
    alone, together = [one.parts[0] for one in found[:2]], found[2].parts
    for single, joint in zip(alone, together, strict=True):
        assert single.roles.fingerprint == joint.roles.fingerprint
        for role in ("train", "gate", "test"):
            assert getattr(single.roles, role)["row"] == getattr(joint.roles, role)["row"]
    assert 0 < len(alone[0].roles.train) < 72  # so many are trained on without the other task
    judged = {row for role in ("gate", "test") for row in getattr(alone[1].roles, role)["row"]}
    assert not judged & set(alone[0].roles.train["row"])


def test_sharing_changes_no_bit_of_a_run(config: Comparison, tmp_path: Path) -> None:
    job = jobs_of(config)[2]
    scores = []
    for name in ("alone", "after"):
        context = MemoryContext(tmp_path / name, tmp_path / f"{name}-cache")
        with shared():
            if name == "after":
                train(plan_of(config, jobs_of(config)[0]), MemoryContext(tmp_path / "first", context.cache))
            train(plan_of(config, job), context)
        found = json.loads((context.folder / "results.json").read_text())
        scores.append((context.series("train/loss"), found["metrics"]))
    assert scores[0] == scores[1]


def test_rows_that_changed_meanwhile_are_refused(config: Comparison, tmp_path: Path) -> None:
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    context.folder.mkdir()
    of = config.model_copy(update={"seeds": 1})
    run(of, context)
    (context.folder / "results.json").unlink()
    file = Path(config.tasks[0].data.source)
    file.write_text(file.read_text() + "another film,pos\n")
    with pytest.raises(DataError, match="no longer those that the first runs saw"):
        run(of, context)
