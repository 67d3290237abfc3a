"""Encoders whose layers differ in width: what they compute, what they cost, what transformers makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    BertModel,
)

from core.config.shape import EncoderShape, LayerShape
from core.models.shaped import count, memory
from core.models.shaped.configuration import ShapedBertConfig, config_of
from core.models.shaped.modeling import ShapedBertForSequenceClassification, ShapedBertModel, ShapedLayer
from core.models.shaped.register import register

SMALL = {"vocabulary": 50, "positions": 24}
HEADS = (
    AutoModelForMaskedLM, AutoModelForMultipleChoice, AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification, AutoModelForTokenClassification,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _registered() -> None:
    register()


@st.composite
def shapes(draw: st.DrawFn) -> EncoderShape:
    mode = draw(st.sampled_from(["bus", "stepped"]))
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        heads, size = draw(st.integers(1, 4)), draw(st.integers(1, 8))
        pruned = draw(st.booleans())
        width = draw(st.integers(1, 40)) if pruned else heads * size
        layer = {"width": width, "heads": heads, "intermediate": draw(st.integers(1, 50))}
        layers.append({**layer, "head_size": size} if pruned else layer)
    return EncoderShape.model_validate(
        {
            "mode": mode, "layers": layers, "embedding": draw(st.integers(1, 40)), "pooler": draw(st.booleans()),
            "readout": mode == "bus" and draw(st.booleans()), "vocabulary": draw(st.integers(5, 60)),
            "positions": draw(st.integers(2, 30)), "types": draw(st.integers(1, 3)),
        }
    )  # fmt: skip


def build(shape: EncoderShape, seed: int = 0, **others: object) -> torch.nn.Module:
    torch.manual_seed(seed)
    config = config_of(shape, **others)
    kind = ShapedBertModel if isinstance(config, ShapedBertConfig) else BertModel
    model: torch.nn.Module = kind(config, add_pooling_layer=shape.pooler)
    return model.eval()


def texts(shape: EncoderShape, rows: int = 2, length: int = 7) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[-1, length // 2 :] = 0
    ids = torch.randint(0, shape.vocabulary, (rows, length), generator=generator)
    return {"input_ids": ids, "attention_mask": mask}


@settings(max_examples=100, deadline=None)
@given(shapes())
def test_the_formula_counts_the_parameters_of_the_built_model(shape: EncoderShape) -> None:
    with torch.device("meta"):
        model = build(shape)
    found = count(shape)
    assert found.total == sum(parameter.numel() for parameter in model.parameters())
    assert found.layers == tuple(sum(p.numel() for p in layer.parameters()) for layer in model.encoder.layer)


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_the_formula_counts_the_operations_that_torch_counts(mode: str) -> None:
    shape = EncoderShape.of_widths([16, 32, 24], mode=mode, head_size=8, pooler=False, **SMALL)
    model = build(shape, attn_implementation="eager")
    length = 11
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(1, length, dtype=torch.long), attention_mask=torch.ones(1, length))
    assert count(shape).flops(length) == counter.get_total_flops()


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_the_formula_of_memory_is_near_what_a_backward_pass_keeps(mode: str) -> None:
    shape = EncoderShape.of_widths([96, 128, 64, 128], mode=mode, head_size=32, pooler=False, **SMALL)
    model = build(shape, attention_probs_dropout_prob=0.0).train()
    ids = torch.zeros(8, 16, dtype=torch.long)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = model(input_ids=ids).last_hidden_state
    predicted = memory(shape, ids.numel())
    assert predicted.activations == pytest.approx(sum(kept.values()), rel=0.2)
    assert predicted.weights == sum(4 * parameter.numel() for parameter in model.parameters())
    assert out.requires_grad


def test_a_shape_as_wide_as_its_stream_everywhere_is_a_stock_bert() -> None:
    shape = EncoderShape.of_widths([32, 32], head_size=8, **SMALL)
    assert shape.plain
    assert type(config_of(shape)) is BertConfig


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_without_maps_a_shaped_encoder_computes_what_bert_computes(mode: str) -> None:
    shape = EncoderShape.of_widths([32, 32, 32], mode=mode, head_size=8, **SMALL)
    stock = build(shape)
    fields = {"mode": mode, "embedding_size": 32, "layer_shapes": [one.model_dump() for one in shape.layers]}
    config = ShapedBertConfig(**{**stock.config.to_dict(), "model_type": "shaped_bert", **fields})
    shaped = ShapedBertModel(config).eval()
    shaped.load_state_dict(stock.state_dict())  # the same names, every one of them
    batch = texts(shape)
    torch.testing.assert_close(shaped(**batch).last_hidden_state, stock(**batch).last_hidden_state, rtol=0, atol=0)


def test_a_bus_layer_adds_what_it_changed_and_the_rest_of_the_stream_passes() -> None:
    shape = EncoderShape.of_widths([16], head_size=8, embedding=32, **SMALL)
    model = build(shape)
    layer = model.encoder.layer[0]
    x = torch.randn(1, 5, 32)
    inner = layer.stream_in(x)
    changed = super(ShapedLayer, layer).forward(inner)
    torch.testing.assert_close(layer(x), x + layer.stream_out(changed - inner))


def test_a_stepped_stream_changes_its_width_from_layer_to_layer() -> None:
    shape = EncoderShape.of_widths([24, 16, 40], mode="stepped", head_size=8, embedding=32, **SMALL)
    model = build(shape)
    states = model(**texts(shape), output_hidden_states=True).hidden_states
    assert [state.shape[-1] for state in states] == [32, 24, 16, 40]


def test_the_articles_two_layers_train() -> None:
    shape = EncoderShape.of_widths([768, 1024], mode="stepped", **SMALL)
    assert [(one.width, one.heads, one.intermediate) for one in shape.layers] == [(768, 12, 3072), (1024, 16, 4096)]
    torch.manual_seed(0)
    model = ShapedBertForSequenceClassification(config_of(shape, num_labels=2)).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    batch = {**texts(shape, rows=4), "labels": torch.tensor([0, 1, 0, 1])}
    losses = []
    for _ in range(6):
        torch.manual_seed(1)
        loss = model(**batch).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_every_gradient_is_the_same_with_and_without_checkpointing(mode: str) -> None:
    shape = EncoderShape.of_widths([16, 32, 24], mode=mode, head_size=8, pooler=False, **SMALL)
    gradients = []
    for checkpointing in (False, True):
        model = build(shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
        if checkpointing:
            model.activation_checkpointing_enable()
        model(**texts(shape)).last_hidden_state.pow(2).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        torch.testing.assert_close(gradients[1][name], gradient)


def test_eager_attention_and_sdpa_agree_also_when_changed_later() -> None:
    shape = EncoderShape.of_widths([16, 32], head_size=8, embedding=24, **SMALL)
    model, batch = build(shape), texts(shape)
    before = model(**batch).last_hidden_state
    assert not model(**batch, output_attentions=False).attentions
    model.set_attn_implementation("eager")
    after = model(**batch, output_attentions=True)
    torch.testing.assert_close(after.last_hidden_state, before, rtol=1e-4, atol=1e-5)
    assert [tuple(one.shape) for one in after.attentions] == [(2, 2, 7, 7), (2, 4, 7, 7)]


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_saved_and_loaded_it_is_bit_for_bit_the_same(mode: str, tmp_path: Path) -> None:
    layers = [
        LayerShape(width=16, heads=3, head_size=4, intermediate=9),
        LayerShape(width=24, heads=2, intermediate=40),
    ]
    shape = EncoderShape(mode=mode, layers=layers, embedding=20, readout=mode == "bus", **SMALL)
    model = build(shape)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert type(again) is ShapedBertModel
    assert again.config.shape() == shape
    assert set(again.state_dict()) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    batch = texts(shape)
    assert torch.equal(again(**batch).last_hidden_state, model(**batch).last_hidden_state)


@pytest.mark.parametrize("auto", HEADS)
@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_every_head_is_saved_loaded_and_gives_logits(mode: str, auto: type, tmp_path: Path) -> None:
    shape = EncoderShape.of_widths([16, 24], mode=mode, head_size=8, embedding=32, **SMALL)
    torch.manual_seed(0)
    model = auto.from_config(config_of(shape)).eval()
    model.save_pretrained(tmp_path)
    again = auto.from_pretrained(tmp_path).eval()
    batch = texts(shape)
    if auto is AutoModelForMultipleChoice:
        batch = {name: tensor[None] for name, tensor in batch.items()}
    name = "start_logits" if auto is AutoModelForQuestionAnswering else "logits"
    found, wanted = again(**batch)[name], model(**batch)[name]
    saved, loaded = model.state_dict(), again.state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(saved[key], loaded[key]) for key in saved)
    # On some processors the last bits of a product with one row depend on where in memory its weights lie: the loaded
    # weights give the same logits bit for bit where those of the saved model lay.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    model.load_state_dict(loaded)
    assert torch.equal(model(**batch)[name], wanted)


def test_heads_that_do_not_divide_the_width_are_refused_with_those_that_do() -> None:
    with pytest.raises(ValidationError, match=r"heads 5 do not divide the width 48; use 3, 4, 6 heads"):
        LayerShape(width=48, heads=5, intermediate=10)


def test_a_readout_belongs_to_a_bus() -> None:
    with pytest.raises(ValidationError, match="readout belongs to mode bus"):
        EncoderShape.of_widths([8], mode="stepped", readout=True, head_size=8)
