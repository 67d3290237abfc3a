"""Configs of every kind of run, read from one kind of file."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import GraphConfig, LinkConfig, Plan, ProbeConfig, config_from_dict, kind_of, load_config, plan_to_yaml
from core.config.distil import DistilConfig
from core.config.statistics import StatisticsConfig
from core.errors import ConfigError

DISTIL = DistilConfig.model_validate({"shape": {"layers": [{"width": 256, "heads": 4}] * 2, "embedding": 384}})


@pytest.mark.parametrize(
    "config", [Plan(), GraphConfig(), ProbeConfig(), LinkConfig(graph="a.graph"), StatisticsConfig(rho=0.9), DISTIL]
)
def test_a_config_survives_its_file(tmp_path: Path, config) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(plan_to_yaml(config), encoding="utf-8")
    again = load_config(file)
    assert again == config
    kinds = {
        Plan: "train", GraphConfig: "graph", ProbeConfig: "probe", LinkConfig: "link", StatisticsConfig: "stats",
        DistilConfig: "distil",
    }  # fmt: skip
    assert kind_of(again) == kinds[type(config)]
    assert config_from_dict(kind_of(config), config.model_dump(mode="json"), where="test") == config


def test_changes_are_applied_before_validation(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("kind: graph\n", encoding="utf-8")
    config = load_config(file, ["settings.sim.k=7", "edges=[sim]"])
    assert isinstance(config, GraphConfig)
    assert (config.settings.sim.k, config.edges) == (7, ["sim"])


def test_an_unknown_kind_is_named_with_those_that_exist(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("kind: magic\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"magic.*graph, probe, link, claim.* or "):
        load_config(file)


def test_a_wrong_key_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("kind: graph\nsettings:\n  sim:\n    k: many\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"settings\.sim\.k \(line 4\)"):
        load_config(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edges": []}, "at least one"),
        ({"edges": ["gnn"]}, "trained graph network"),
        ({"edges": ["sim", "sim"]}, "twice"),
        ({"layers": [-1]}, "from 0"),
        ({"settings": {"dep": {"source": "probe"}}}, "probe_run"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config_from_dict("graph", changes, where="test")


def test_settings_of_another_kind_are_not_told_to_become_a_plan() -> None:
    with pytest.raises(ConfigError) as found:
        config_from_dict("graph", {"nothing": 3}, where="graph build")
    assert "nothing: unknown key" in str(found.value)
    assert "corpus" in str(found.value.expected)
    assert "plan new" not in found.value.message()
