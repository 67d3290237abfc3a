from __future__ import annotations

import pytest

from core.config import Stage
from core.errors import ConfigError
from core.training.groups import base_rates, resolve

LAYERS = 4
PARAMETERS = [
    ("bert.embeddings.word_embeddings.weight", 2), ("bert.embeddings.LayerNorm.weight", 1),
    *[(f"bert.encoder.layer.{k}.{name}", dims) for k in range(LAYERS)
      for name, dims in (("query.weight", 2), ("query.bias", 1))],
    ("bert.pooler.dense.weight", 2), ("classifier.weight", 2), ("classifier.bias", 1),
]  # fmt: skip


def unit(name: str) -> str:
    if "embeddings" in name:
        return "embeddings"
    return f"layer {name.split('layer.')[1].split('.')[0]}" if "layer." in name else "head"


UNITS = {name: unit(name) for name, _ in PARAMETERS}


def groups(**stage: object) -> tuple[dict[str, float], list[str]]:
    specs, frozen = resolve(PARAMETERS, UNITS, LAYERS, Stage(lr=1e-4, **stage))
    listed = [name for spec in specs for name in spec.parameters]
    assert len(listed) == len(set(listed))
    assert sorted(listed + frozen) == sorted(UNITS)
    return {spec.name: spec.lr for spec in specs}, frozen


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ({}, {"all": 1e-4}),
        ({"head_lr": 1e-3}, {"encoder": 1e-4, "head": 1e-3}),
        ({"freeze_layers": 2}, {"layers 2-3 + head": 1e-4}),
        ({"freeze_encoder": True}, {"head": 1e-4}),
        (
            {"layer_decay": 0.5},
            {"embeddings": 6.25e-6, "layer 0": 1.25e-5, "layer 1": 2.5e-5, "layer 2": 5e-5, "layer 3 + head": 1e-4},
        ),
        (
            {"groups": [{"pattern": "layer:0-1", "lr": 1e-5}]},
            {"embeddings": 1e-4, "layer:0-1": 1e-5, "layers 2-3 + head": 1e-4},
        ),
        ({"groups": [{"pattern": "encoder", "frozen": True}]}, {"head": 1e-4}),
        (
            {"groups": [{"pattern": r"layer\.3\.", "lr": 2e-4}, {"pattern": "all", "lr": 1e-6}]},
            {r"layer\.3\.": 2e-4, "all": 1e-6},
        ),
    ],
    ids=str,
)
def test_names_and_rates(stage: dict, expected: dict[str, float]) -> None:
    found, _ = groups(**stage)
    assert found == pytest.approx(expected)
    assert base_rates(Stage(lr=1e-4, **stage), LAYERS).keys() >= {name for name in expected if "\\" not in name}


def test_no_decay_on_biases_and_norms() -> None:
    specs, _ = resolve(PARAMETERS, UNITS, LAYERS, Stage(weight_decay=0.3))
    decay = {name: spec.weight_decay for spec in specs for name in spec.parameters}
    assert all(value == (0.3 if dims > 1 else 0.0) for (name, dims) in PARAMETERS for value in [decay[name]])


def test_first_matching_pattern_wins_and_keeps_what_it_leaves_empty() -> None:
    stage = Stage(lr=1e-4, groups=[{"pattern": "layer:2", "weight_decay": 0.5}, {"pattern": "all", "frozen": True}])
    specs, frozen = resolve(PARAMETERS, UNITS, LAYERS, stage)
    assert {name for spec in specs for name in spec.parameters} == {name for name in UNITS if UNITS[name] == "layer 2"}
    assert {spec.weight_decay for spec in specs} == {0.5, 0.0}
    assert specs[0].lr == 1e-4
    assert len(frozen) == len(UNITS) - 2


@pytest.mark.parametrize(
    ("stage", "match"),
    [
        ({"groups": [{"pattern": "decoder", "lr": 1e-3}]}, "matches no parameter"),
        ({"groups": [{"pattern": "layer:7", "lr": 1e-3}]}, "matches no parameter"),
        ({"groups": [{"pattern": "(", "lr": 1e-3}]}, "not a regular expression"),
        ({"groups": [{"pattern": "all", "frozen": True}]}, "nothing is left to train"),
        ({"freeze_layers": 5}, "4 layers"),
        ({"reinit_top_n": 9}, "4 layers"),
    ],
)
def test_what_cannot_be_is_refused(stage: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        resolve(PARAMETERS, UNITS, LAYERS, Stage(**stage))
