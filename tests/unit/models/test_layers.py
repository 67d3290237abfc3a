from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.config import ModelConfig
from core.errors import ConfigError, ModelError
from core.models import build_model, reinit_top, structure
from tests.tiny import FAMILIES
from tests.unit.models.conftest import make_task


def build(folder: Path, kind: str = "classification") -> torch.nn.Module:
    model, _ = build_model(ModelConfig(source=str(folder), max_length=32), make_task(kind), seed=0)
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_every_parameter_has_one_part(encoder: Callable[[str], Path], family: str, kind: str) -> None:
    model = build(encoder(family), kind)
    found = structure(model)
    assert set(found.parts) == {name for name, _ in model.named_parameters()}
    assert set(found.parts.values()) <= {"embeddings", "layer.0", "layer.1", "pooler", "head"}
    assert len(found.layers) == 2
    for index, layer in enumerate(found.layers):
        own = {id(parameter) for parameter in layer.parameters()}
        named = {id(parameter) for name, parameter in model.named_parameters() if found.parts[name] == f"layer.{index}"}
        assert own <= named
    assert any("word_embeddings" in name or "tok_embeddings" in name for name in found.names("embeddings"))
    assert all("classifier" in name or "head" in name for name in found.names("head"))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_runs_below_a_layer_does_not_depend_on_what_stands_above(
    encoder: Callable[[str], Path], family: str
) -> None:
    """The input of layer 1 is what a cache keeps when embeddings and layer 0 are frozen."""
    model = build(encoder(family))
    found = structure(model)
    seen: list[torch.Tensor] = []
    found.layers[1].register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args[0] if args else kwargs["hidden_states"]).detach().clone()),
        with_kwargs=True,
    )
    ids = torch.tensor([[2, 50, 60, 70, 3]])
    model(input_ids=ids)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if found.depth(name) >= 2:
                parameter.add_(1.0)
    model(input_ids=ids)
    assert torch.equal(seen[0], seen[1])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if found.depth(name) < 2:
                parameter.mul_(1.5)
    model(input_ids=ids)
    assert not torch.equal(seen[0], seen[2])


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "deberta-v2"])
def test_layers_said_to_be_in_order_are_called_once_each_on_the_last_ones_output(
    encoder: Callable[[str], Path], family: str
) -> None:
    model = build(encoder(family))
    found = structure(model)
    assert found.in_order
    calls: list[tuple[int, torch.Tensor, torch.Tensor]] = []

    def record(index: int) -> Callable[..., None]:
        def hook(_: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor], output: object) -> None:
            given = args[0] if args else kwargs["hidden_states"]
            result = output[0] if isinstance(output, tuple) else output
            assert isinstance(result, torch.Tensor)
            calls.append((index, given, result))

        return hook

    for index, layer in enumerate(found.layers):
        layer.register_forward_hook(record(index), with_kwargs=True)
    model(input_ids=torch.tensor([[2, 50, 60, 70, 3]]))
    assert [call[0] for call in calls] == [0, 1]
    assert torch.equal(calls[0][2], calls[1][1])


def test_depth_orders_the_parts(encoder: Callable[[str], Path]) -> None:
    found = structure(build(encoder("bert")))
    parts = ("embeddings", "layer.0", "layer.1", "pooler", "head")
    assert {part: found.depth(found.names(part)[0]) for part in parts} == {
        "embeddings": 0,
        "layer.0": 1,
        "layer.1": 2,
        "pooler": 3,
        "head": 3,
    }


def test_relative_positions_of_deberta_belong_below_all_layers(encoder: Callable[[str], Path]) -> None:
    found = structure(build(encoder("deberta-v2")))
    assert found.parts["deberta.encoder.rel_embeddings.weight"] == "embeddings"
    assert found.parts["deberta.encoder.LayerNorm.weight"] == "embeddings"


def test_the_final_norm_of_modernbert_belongs_to_the_top_layer(encoder: Callable[[str], Path]) -> None:
    assert structure(build(encoder("modernbert"))).parts["model.final_norm.weight"] == "layer.1"


def test_a_family_not_known_by_name_is_read_by_its_longest_list() -> None:
    from transformers import AlbertConfig, AutoModelForSequenceClassification, MPNetConfig

    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
    found = structure(AutoModelForSequenceClassification.from_config(MPNetConfig(vocab_size=50, **shape)))
    assert len(found.layers) == 3
    assert not found.in_order
    assert found.parts["mpnet.encoder.relative_attention_bias.weight"] == "embeddings"
    shared = AlbertConfig(vocab_size=50, embedding_size=16, **shape)  # its layers share one group of weights
    assert not structure(AutoModelForSequenceClassification.from_config(shared)).in_order


def test_a_model_without_layers_is_refused() -> None:
    from transformers import PreTrainedConfig, PreTrainedModel

    class Flat(PreTrainedModel):
        config_class = PreTrainedConfig

        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            self.linear = torch.nn.Linear(2, 2)

    with pytest.raises(ModelError, match="No transformer layers"):
        structure(Flat(PreTrainedConfig()))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_top_is_initialised_anew_under_the_seed(encoder: Callable[[str], Path], family: str) -> None:
    states = []
    for ambient, seed in ((1, 3), (2, 3), (1, 4)):
        model = build(encoder(family))
        before = {name: value.clone() for name, value in model.state_dict().items()}
        torch.manual_seed(ambient)
        state = torch.get_rng_state()
        reinit_top(model, 1, seed)
        assert torch.equal(state, torch.get_rng_state())
        parts = structure(model).parts
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert {parts[name] for name in changed} <= {"layer.1", "pooler"}
        matrices = {name for name, value in model.named_parameters() if parts[name] == "layer.1" and value.ndim == 2}
        assert matrices <= changed
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_more_layers_than_there_are_cannot_be_initialised(encoder: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match="encoder has 2"):
        reinit_top(build(encoder("bert")), 3, 0)
