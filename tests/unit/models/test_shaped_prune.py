"""Pruning heads and FFN units: smaller tensors that compute what masking computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification, BertModel

from core.config.shape import EncoderShape, LayerShape
from core.errors import ConfigError, ModelError
from core.models.shaped.configuration import config_of
from core.models.shaped.importance import Importance, by_energy, by_gradient
from core.models.shaped.modeling import ShapedBertForSequenceClassification
from core.models.shaped.prune import Kept, choose_kept, masked, prune
from core.models.shaped.register import register


def bert(seed: int = 0, layers: int = 2) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=40, hidden_size=24, num_attention_heads=4, intermediate_size=30, num_hidden_layers=layers,
        max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    for name, parameter in model.named_parameters():
        if "LayerNorm" not in name:
            parameter.data.normal_(0.0, 0.3)
    return model.eval()


def batch(rows: int = 4, length: int = 9) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[1, 4:] = 0
    return {"input_ids": torch.randint(1, 40, (rows, length), generator=generator), "attention_mask": mask}


KEPT = Kept([[0, 2], [3]], [[1, 5, 6, 29], list(range(0, 30, 2))])


def test_the_smaller_model_computes_what_masking_computes() -> None:
    model = bert()
    with masked(model, KEPT):
        wanted = model(**batch()).logits
    whole = model(**batch()).logits
    smaller = prune(model, KEPT)
    assert type(smaller) is ShapedBertForSequenceClassification
    torch.testing.assert_close(smaller(**batch()).logits, wanted, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(whole, wanted)  # what was pruned did something
    torch.testing.assert_close(model(**batch()).logits, whole, rtol=0, atol=0)  # and the model is as it was


def test_the_saved_tensors_are_really_smaller_and_load_again(tmp_path: Path) -> None:
    register()
    model, smaller = bert(), prune(bert(), KEPT)
    model.save_pretrained(tmp_path / "whole")
    smaller.save_pretrained(tmp_path / "pruned")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "pruned")]
    assert sizes[1] < sizes[0]
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pruned").eval()
    assert torch.equal(again(**batch()).logits, smaller(**batch()).logits)
    assert again.bert.encoder.layer[1].attention.self.query.weight.shape == (6, 24)
    assert again.bert.encoder.layer[0].intermediate.dense.weight.shape == (4, 24)


def test_units_alone_equally_many_in_each_layer_leave_a_stock_bert() -> None:
    model = bert()
    kept = Kept([[0, 1, 2, 3]] * 2, [[0, 3, 9], [1, 2, 4]])
    smaller = prune(model, kept)
    assert type(smaller) is BertForSequenceClassification
    assert smaller.config.intermediate_size == 3
    with masked(model, kept):
        torch.testing.assert_close(smaller(**batch()).logits, model(**batch()).logits, rtol=1e-5, atol=1e-6)


def test_a_pruned_model_can_be_pruned_again() -> None:
    model = prune(bert(), KEPT)
    again = Kept([[1], [0]], [[0, 1], [3, 4, 5]])
    with masked(model, again):
        wanted = model(**batch()).logits
    torch.testing.assert_close(prune(model, again)(**batch()).logits, wanted, rtol=1e-5, atol=1e-6)


def test_a_shaped_encoder_is_pruned_too() -> None:
    layers = [LayerShape(width=16, heads=2, intermediate=20), LayerShape(width=24, heads=3, intermediate=12)]
    torch.manual_seed(0)
    model = ShapedBertForSequenceClassification(
        config_of(EncoderShape(mode="stepped", layers=layers, embedding=8, vocabulary=40, positions=16))
    ).eval()
    kept = Kept([[1], [0, 2]], [[0, 1, 2], [5]])
    with masked(model, kept):
        wanted = model(**batch()).logits
    torch.testing.assert_close(prune(model, kept)(**batch()).logits, wanted, rtol=1e-5, atol=1e-6)


def test_energy_is_the_mean_squared_length_of_what_is_written() -> None:
    model = bert(layers=1)
    scores = by_energy(model, [batch()])
    layer, entered = model.bert.encoder.layer[0], {}
    handle = layer.attention.output.dense.register_forward_pre_hook(lambda _, args: entered.update(heads=args[0]))
    second = layer.output.dense.register_forward_pre_hook(lambda _, args: entered.update(units=args[0]))
    model(**batch())
    handle.remove()
    second.remove()
    entered = {name: states.detach() for name, states in entered.items()}
    valid = batch()["attention_mask"].bool()
    assert scores.tokens == int(valid.sum())
    for head in range(4):
        own = (
            entered["heads"][valid][:, head * 6 : head * 6 + 6]
            @ layer.attention.output.dense.weight[:, head * 6 : head * 6 + 6].T
        )
        assert float(scores.heads[0][head]) == pytest.approx(own.square().sum(-1).mean().item(), rel=1e-4)
    for unit in (0, 7, 29):
        own = entered["units"][valid][:, unit : unit + 1] @ layer.output.dense.weight[:, unit : unit + 1].T
        assert float(scores.units[0][unit]) == pytest.approx(own.square().sum(-1).mean().item(), rel=1e-4)


def test_a_head_without_weights_has_no_importance_by_either_measure() -> None:
    model = bert()
    with torch.no_grad():
        model.bert.encoder.layer[1].attention.output.dense.weight[:, 6:12] = 0.0
        model.bert.encoder.layer[0].output.dense.weight[:, 4] = 0.0
    labels = torch.tensor([0, 1, 2, 1])
    gradient = by_gradient(
        model, [{**batch(), "labels": labels}],
        lambda pair: torch.nn.functional.cross_entropy(pair[0].logits, pair[1], reduction="sum"),
    )  # fmt: skip
    for scores in (by_energy(model, [batch()]), gradient):
        assert float(scores.heads[1][1]) == 0.0
        assert float(scores.units[0][4]) == 0.0
        assert min(float(scores.heads[1][head]) for head in (0, 2, 3)) > 0.0


def test_the_gradients_score_is_the_first_order_change_of_the_loss() -> None:
    model = bert(layers=1)
    one = {name: tensor[:1] for name, tensor in batch().items()}
    labels = torch.tensor([2])

    def loss(pair: tuple[object, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(pair[0].logits, pair[1], reduction="sum")  # type: ignore[attr-defined]

    score = float(by_gradient(model.double(), [{**one, "labels": labels}], loss).heads[0][2])
    dense = model.bert.encoder.layer[0].attention.output.dense
    step, losses = 1e-4, []
    for sign in (1, -1):  # a finite difference of the loss in the head's gate
        gate = torch.ones(24, dtype=torch.float64)
        gate[12:18] += sign * step
        handle = dense.register_forward_pre_hook(lambda _, args, gate=gate: (args[0] * gate,))
        losses.append(float(loss((model(**one), labels)).detach()))
        handle.remove()
    assert score == pytest.approx(abs(losses[0] - losses[1]) / (2 * step), rel=1e-4)


def test_the_most_important_are_kept_and_one_of_each_layer_always() -> None:
    scores = Importance(
        heads=[torch.tensor([5.0, 1.0, 3.0, 2.0]), torch.tensor([0.1, 0.4, 0.2, 0.3])],
        units=[torch.tensor([1.0, 9.0]), torch.tensor([2.0, 1.0])],
    )
    assert choose_kept(scores, heads=0.5).heads == [[0, 2], [1, 3]]
    assert choose_kept(scores, heads=0.01).heads == [[0], [1]]
    assert choose_kept(scores, units=0.5).units == [[1], [0]]
    everywhere = choose_kept(scores, heads=0.5, spread="global").heads
    assert sum(map(len, everywhere)) == 4
    assert 0 in everywhere[0]
    assert 1 in everywhere[1]


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="share of heads to keep is 0"):
        choose_kept(Importance([torch.ones(2)], [torch.ones(2)]), heads=0.0)


def test_another_family_is_refused_with_what_can_be_done() -> None:
    from transformers import DistilBertConfig, DistilBertModel

    other = DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, n_heads=2, hidden_dim=8, n_layers=1))
    with pytest.raises(ModelError, match="cannot be told apart"):
        by_energy(other, [batch()])


def test_an_encoder_without_a_head_is_pruned_as_well() -> None:
    model = BertModel(bert().config).eval()
    smaller = prune(model, KEPT)
    with masked(model, KEPT):
        wanted = model(**batch()).last_hidden_state
    torch.testing.assert_close(smaller(**batch()).last_hidden_state, wanted, rtol=1e-5, atol=1e-6)
