"""Kept statistics: measured once, whatever the thresholds; anew when anything else changes or a file is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config.graph import CorpusConfig
from core.config.plan import ModelConfig
from core.config.statistics import StatisticsConfig
from core.search import statistics as measuring
from core.search.statistics import statistics
from core.search.statistics_cache import cached_statistics, statistics_key
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus


class Stop(Exception):
    """Somebody stopped the measuring."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StatisticsConfig:
    folder = tmp_path_factory.mktemp("kept")
    model = tiny_encoder(folder / "encoder", hidden=16, layers=2, heads=4)
    return StatisticsConfig(
        corpus=CorpusConfig(source=str(corpus(folder, 150)), max_sentences=150, min_count=1),
        model=ModelConfig(source=str(model), max_length=64), words=220, draws=5, neighbours=5, rank=8,
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(config: StatisticsConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    cache = tmp_path_factory.mktemp("cache")
    return cache, cached_statistics(config, cache)


@pytest.fixture
def never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    for name in ("load_encoder", "preservation", "probe_corpus"):
        monkeypatch.setattr(measuring, name, fail)


def plain(found: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps({key: value for key, value in found.items() if key != "key"}))


def test_what_is_kept_is_what_was_measured(
    config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], tmp_path: Path, never_again: None
) -> None:
    cache, first = kept
    assert plain(cached_statistics(config, cache)) == plain(first)


def test_keeping_changes_nothing(config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    assert plain(statistics(config, cache=tmp_path)) == plain(kept[1])


def test_other_thresholds_are_applied_to_the_kept_curves(
    config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], never_again: None
) -> None:
    cache, first = kept
    lax = config.model_copy(update={"rho": 0.01, "overlap": 0.01, "share": 0.9, "name": "lax"})
    found = cached_statistics(lax, cache)
    assert found["key"] == first["key"]
    assert found["thresholds"] == {"rho": 0.01, "overlap": 0.01, "share": 0.9}
    assert sum(one["least"] for one in found["layers"]) < sum(one["least"] for one in first["layers"])


@pytest.mark.parametrize(
    "harm", [lambda text: text[: len(text) // 2], lambda text: text.replace('"tokens": ', '"tokens": 1', 1)]
)
def test_a_cut_or_altered_file_is_measured_anew(
    config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], tmp_path: Path, harm: Callable[[str], str]
) -> None:
    (tmp_path / "statistics").mkdir()
    file = tmp_path / "statistics" / f"{kept[1]['key']}.json"
    whole = (kept[0] / "statistics" / file.name).read_text(encoding="utf-8")
    file.write_text(harm(whole), encoding="utf-8")
    assert plain(cached_statistics(config, tmp_path)) == plain(kept[1])
    assert file.read_text(encoding="utf-8") == whole


def test_after_a_stop_only_the_missing_pieces_are_measured(
    config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = measuring.preservation
    layers: list[Any] = []

    def counted(*args: Any, **values: Any) -> Any:
        if len(layers) == 2:
            raise Stop
        layers.append(args)
        return real(*args, **values)

    monkeypatch.setattr(measuring, "preservation", counted)
    with pytest.raises(Stop):
        cached_statistics(config, tmp_path)
    layers.clear()
    assert plain(cached_statistics(config, tmp_path)) == plain(kept[1])
    assert len(layers) == 1
    assert [path.name for path in (tmp_path / "statistics").iterdir()] == [f"{kept[1]['key']}.json"]


def test_the_key_follows_texts_weights_and_settings_but_not_names_and_thresholds(
    config: StatisticsConfig, kept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    key = statistics_key(config)
    assert key == kept[1]["key"]
    assert key == statistics_key(config.model_copy(update={"name": "other", "tags": ["x"], "rho": 0.5}))
    assert key != statistics_key(config.model_copy(update={"neighbours": 6}))
    text = Path(config.corpus.source).read_text(encoding="utf-8").replace("\t_\t_\n", "\t_\tSpaceAfter=No\n", 1)
    other = tmp_path / "trees.conllu"
    other.write_text(text.replace("NOUN", "VERB", 1), encoding="utf-8")
    changed = config.corpus.model_copy(update={"source": str(other)})
    before = statistics_key(config.model_copy(update={"corpus": changed}))
    other.write_text(Path(config.corpus.source).read_text(encoding="utf-8"), encoding="utf-8")
    assert before != statistics_key(config.model_copy(update={"corpus": changed}))
    seeded = tiny_encoder(tmp_path / "encoder", hidden=16, layers=2, heads=4)
    weights = ModelConfig(source=str(seeded), max_length=64)
    first = statistics_key(config.model_copy(update={"model": weights}))
    (seeded / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert first != statistics_key(config.model_copy(update={"model": weights}))
