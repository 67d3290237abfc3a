"""The desk of structure searches: what is checked before, what is read meanwhile, and what is handed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.api import Studio
from core.config import Plan
from core.config.structure import StructureConfig
from core.errors import ConfigError, RunError, RunNotFound
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from tests.structured import config_of, searched
from tests.tiny import tiny_encoder


@pytest.fixture
def studio(home: Home) -> Studio:
    return Studio(home, watch=False)


def test_an_impossible_budget_is_refused_before_a_run_is_made(studio: Studio, tmp_path: Path) -> None:
    parent = tiny_encoder(tmp_path / "parent", hidden=32, layers=3, heads=4)
    config = config_of(model={"source": str(parent)}, depths=None, budget={"parameters": 10})
    with pytest.raises(ConfigError, match="nearest budget"):
        studio.structures.submit(config)
    assert studio.runs.list() == []
    told = studio.structures.check(config_of(model={"source": str(parent)}, depths=None))
    assert told["parent"]["layers"] == 3
    assert told["budget"]["least"] < told["budget"]["parameters"] < told["budget"]["most"]


def test_a_parent_that_a_run_made_is_named_by_the_run_and_checked_first(studio: Studio, home: Home) -> None:
    run = "20260101-120000-ab12"
    tiny_encoder(home.run(run) / "best", hidden=32, layers=3, heads=4)
    with pytest.raises(ConfigError, match="nearest budget"):
        studio.structures.submit(config_of(model={"source": run}, depths=None, budget={"parameters": 10}))
    stored = studio.structures.config(studio.structures.submit(config_of(model={"source": run}, depths=None)))
    assert stored.model.source == str(home.run(run) / "best")


def test_a_search_is_queued_with_absolute_paths(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_encoder(tmp_path / "parent", hidden=32, layers=3, heads=4)
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    config = config_of(model={"source": "parent"}, depths=[3], finetune={"data": {"source": "rows.csv"}},
                       corpus={"source": "rows.csv"})  # fmt: skip
    stored = studio.structures.config(studio.structures.submit(config))
    assert stored.model.source == str(tmp_path / "parent")
    assert stored.corpus.source == str(tmp_path / "rows.csv")
    assert stored.finetune is not None
    assert stored.finetune.data.source == str(tmp_path / "rows.csv")
    assert studio.structures.list()[0]["status"] == "queued"


def test_before_it_begins_there_is_nothing_but_the_budget(studio: Studio, tmp_path: Path) -> None:
    parent = tiny_encoder(tmp_path / "parent", hidden=32, layers=3, heads=4)
    run_id = studio.structures.submit(config_of(model={"source": str(parent)}, depths=[3]))
    found = studio.structures.view(run_id)
    assert not found["begun"]
    assert (found["candidates"], found["front"], found["hypervolume"]) == ([], [], None)
    assert found["budget"]["share"] == 0.5
    assert studio.structures.front(run_id)["front"] == []
    assert studio.structures.statistics(run_id) is None


def test_while_candidates_are_ranked_the_others_wait(studio: Studio, store: Store) -> None:
    found = studio.structures.view(searched(store, ranked=5, ended=False))
    states = [one["state"] for one in found["candidates"]]
    assert states == ["ranked"] * 5 + ["waiting"] * (len(states) - 5)
    assert found["status"] == Status.RUNNING
    assert found["front"] == []
    assert json.loads(json.dumps(found)) == found


def test_a_finished_search_shows_front_references_and_conclusion(studio: Studio, store: Store) -> None:
    run_id = searched(store)
    found = studio.structures.view(run_id)
    by_key = {one["key"]: one for one in found["candidates"]}
    assert found["ended"]
    assert all(by_key[key]["on_front"] and by_key[key]["has_model"] for key in found["front"])
    assert {by_key[key]["source"] for key in found["references"]} <= {"uniform"}
    assert found["conclusion"]["best_loss"] == min(one["loss"] for one in found["candidates"] if one["loss"])
    assert [one["hypervolume"] for one in found["history"]] == sorted(one["hypervolume"] for one in found["history"])
    front = studio.structures.front(run_id)
    assert [one["key"] for one in front["front"]] == found["front"]
    assert [one["loss"] for one in front["front"]] == sorted(one["loss"] for one in front["front"])
    assert front["candidates"] == len(found["candidates"])
    assert all(Path(one["model"]).name == "best" for one in front["front"])


def test_a_child_that_was_deleted_cannot_be_opened_any_more(studio: Studio, store: Store) -> None:
    run_id = searched(store)
    key = studio.structures.view(run_id)["front"][0]
    child = studio.structures.candidate(run_id, key)["run"]
    studio.runs.delete(child)
    assert studio.structures.candidate(run_id, key)["run"] is None
    assert studio.structures.model_folder(run_id, key) is None


def test_a_candidate_is_handed_to_training_and_to_distillation(studio: Studio, store: Store) -> None:
    tune = {"data": {"source": "tweets"}}
    run_id = searched(store, config=config_of(finetune=tune))
    found = studio.structures.view(run_id)
    key = found["front"][0]
    plan = studio.structures.train_plan(run_id, key)
    assert plan.data.source == "tweets"
    assert plan.model.source == str(studio.structures.model_folder(run_id, key))
    distil = studio.structures.distil_config(run_id, key, steps=77)
    one = studio.structures.candidate(run_id, key)
    assert distil.shape is not None
    assert [layer.width for layer in distil.shape.layers] == one["widths"]
    assert (distil.steps, distil.segments) == (77, [tuple(pair) for pair in one["segments"]])
    assert json.loads(studio.structures.export_shape(run_id, key)) == one["shape"]


def test_a_candidate_without_weights_is_not_handed_to_training(studio: Studio, store: Store) -> None:
    run_id = searched(store)
    key = next(one["key"] for one in studio.structures.view(run_id)["candidates"] if not one["rungs"])
    with pytest.raises(RunError, match=r"not kept.*Distil the parent"):
        studio.structures.train_plan(run_id, key)
    assert studio.structures.distil_config(run_id, key).shape is not None
    with pytest.raises(RunNotFound, match="no candidate"):
        studio.structures.candidate(run_id, "nothing")


def test_a_run_of_another_kind_is_no_search(studio: Studio) -> None:
    run_id = studio.runs.submit(Plan(name="plain"))
    with pytest.raises(RunError, match="no structure search"):
        studio.structures.view(run_id)


def test_presets_fit_the_bundled_parents_shape() -> None:
    from core.search.structure.budget import check
    from tests.structured import PARENT

    for config in (StructureConfig.quick(), StructureConfig.thorough()):
        assert len(check(config, PARENT)["depths"]) >= 3
