"""The run of kind ``stats``: what it leaves, what it says meanwhile, and how it goes on after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.config.graph import CorpusConfig
from core.config.plan import ModelConfig
from core.config.statistics import StatisticsConfig
from core.runs.kinds import resolve
from core.search import statistics as measuring
from core.search.phases import PHASES, place_of
from core.search.proposal import propose
from core.training.context import MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StatisticsConfig:
    folder = tmp_path_factory.mktemp("stats-run")
    model = tiny_encoder(folder / "encoder", hidden=16, layers=2, heads=4)
    return StatisticsConfig(
        corpus=CorpusConfig(source=str(corpus(folder, 150)), max_sentences=150, min_count=1),
        model=ModelConfig(source=str(model), max_length=64), words=220, draws=5, neighbours=5, rank=8,
    )  # fmt: skip


class Told(MemoryContext):
    """A context that remembers the phases, and hears a request once a phase has begun."""

    stop_in: str = ""

    def progress(self, **values: Any) -> None:
        super().progress(**values)
        phases = self.state.setdefault("phases", [])
        if "phase" in values and values["phase"] not in phases:
            phases.append(values["phase"])

    def request(self) -> Request:
        return Request.PAUSE if self.stop_in and self.stop_in in self.state.get("phases", []) else Request.NONE


def test_a_run_tells_its_phases_in_order_and_leaves_the_statistics(config: StatisticsConfig, tmp_path: Path) -> None:
    context = Told(tmp_path, tmp_path / "cache")
    assert resolve("stats")(config, context) is Outcome.FINISHED
    told = [place_of(words) for words in context.state["phases"]]
    assert told == list(range(len(PHASES)))
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    found = results["details"]["statistics"]
    assert results["metrics"]["stats/fewest_segments"] == found["depth"]["fewest"]
    assert any("segments of 2 layers suffice" in event["message"] for event in context.events)
    again = propose(found, rho=config.rho, overlap=config.overlap, share=config.share)
    assert again == found


def test_a_paused_run_goes_on_with_what_is_missing(
    config: StatisticsConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Told(tmp_path, tmp_path / "cache")
    context.stop_in = "structural probes"
    assert resolve("stats")(config, context) is Outcome.PAUSED
    assert not (tmp_path / "results.json").exists()

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "preservation", fail)
    monkeypatch.setattr(measuring, "load_encoder", fail)
    context.stop_in = ""
    assert resolve("stats")(config, context) is Outcome.FINISHED
