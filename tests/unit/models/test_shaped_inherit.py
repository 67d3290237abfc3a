"""Weights from a parent: the identity reproduces it, refits beat projection, and the report says what was done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from transformers import BertConfig, BertModel

from core.config.shape import EncoderShape
from core.errors import ConfigError, DataError, ModelError
from core.models.shaped.configuration import config_of
from core.models.shaped.distance import distance
from core.models.shaped.inherit import default_segments, inherit, without_weights
from core.models.shaped.inherit_layer import relative_error
from core.models.shaped.modeling import ShapedBertModel
from core.models.shaped.parent import Parent, look
from core.models.shaped.refit import fit_norm, ridge

WIDTH, HEAD = 32, 8


def parent_encoder(layers: int = 4) -> BertModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=60, hidden_size=WIDTH, num_attention_heads=4, intermediate_size=64, num_hidden_layers=layers,
            max_position_embeddings=24,
        )  # fmt: skip
        model = BertModel(config)
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.data.normal_(0.0, 0.15)
            elif name.endswith("weight"):
                parameter.data.uniform_(0.5, 1.5)
    return model.eval()


def texts(seed: int, rows: int = 100) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 60, (rows, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[::3, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture(scope="module")
def parent() -> Parent:
    return look(parent_encoder(), texts(1))


@pytest.fixture(scope="module")
def held_out(parent: Parent) -> Parent:
    return look(parent.encoder, texts(2))


def shape(*widths: int, **others: Any) -> EncoderShape:
    settings = {"head_size": HEAD, "ratio": 2.0, "embedding": WIDTH, "vocabulary": 60, "positions": 24, **others}
    return EncoderShape.of_widths(widths, **settings)


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_the_identity_shape_reproduces_the_parent(parent: Parent, mode: str) -> None:
    student = inherit(parent, shape(*[WIDTH] * 4, mode=mode)).model
    batch = texts(3)
    with torch.inference_mode():
        found, wanted = student(**batch), parent.encoder(**batch)
    torch.testing.assert_close(found.last_hidden_state, wanted.last_hidden_state, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.pooler_output, wanted.pooler_output, rtol=0, atol=1e-5)


def test_a_whole_layer_in_a_shaped_encoder_is_the_parents_own(parent: Parent) -> None:
    student = inherit(parent, shape(WIDTH, 16, WIDTH, WIDTH))
    assert type(student.model) is ShapedBertModel
    own, theirs = student.model.encoder.layer[0].state_dict(), parent.encoder.encoder.layer[0].state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in theirs.items())
    assert student.layers[0].distance < 1e-10
    assert student.layers[1].distance > 1e-4


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_refits_are_far_nearer_to_the_parent_than_projection_alone_on_texts_not_seen(
    parent: Parent, held_out: Parent, mode: str
) -> None:
    wanted = shape(24, 16, 24, 24, mode=mode)
    projected = distance(inherit(parent, wanted, refit=False), held_out).loss
    refitted = distance(inherit(parent, wanted), held_out).loss
    assert refitted < 0.6 * projected
    assert refitted < 2.0  # what predicting the mean would score


def test_wider_students_are_nearer(parent: Parent, held_out: Parent) -> None:
    losses = [distance(inherit(parent, shape(*[width] * 4)), held_out).loss for width in (8, 16, 24, 32)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-9


def test_fewer_layers_reach_for_the_end_of_their_segment(parent: Parent, held_out: Parent) -> None:
    assert default_segments(4, 2) == [(1, 1), (3, 3)]
    assert default_segments(6, 4) == [(1, 1), (2, 2), (3, 3), (5, 5)]
    student = inherit(parent, shape(24, 24), segments=[(0, 1), (2, 3)])
    assert [(one.parent, one.reaches) for one in student.layers] == [(0, 1), (2, 3)]
    assert distance(student, held_out).last < 1.0


def test_the_distance_is_that_of_the_models_own_forward_pass(parent: Parent, held_out: Parent) -> None:
    student = inherit(parent, shape(24, 16, 24, 24, readout=True))
    batch = texts(2)
    mask = batch["attention_mask"].bool()
    with torch.inference_mode():
        found = student.model(**batch).last_hidden_state[mask]
        wanted = parent.encoder(**batch).last_hidden_state[mask]
    assert distance(student, held_out).last == pytest.approx(relative_error(found, wanted), rel=1e-4)


def test_the_mean_scores_one() -> None:
    wanted = torch.randn(50, 4, dtype=torch.float64)
    assert relative_error(wanted.mean(0).expand_as(wanted), wanted) == pytest.approx(1.0)
    assert relative_error(wanted, wanted) == 0.0


def test_the_report_names_what_was_copied_pruned_and_initialised(parent: Parent) -> None:
    wanted = EncoderShape.model_validate(
        {
            "embedding": WIDTH, "vocabulary": 60, "positions": 24,
            "layers": [
                {"width": 16, "heads": 2, "intermediate": 20},
                {"width": 48, "heads": 6, "intermediate": 80},
                {"width": 24, "heads": 4, "intermediate": 64},
                {"width": 32, "heads": 4, "intermediate": 64},
            ],
        }
    )  # fmt: skip
    found = inherit(parent, wanted)
    reports = found.as_dict()["layers"]
    assert reports[0]["heads"] == {"copied": 2, "pruned": 2, "initialised": 0}
    assert reports[0]["units"] == {"copied": 20, "pruned": 44, "initialised": 0}
    assert reports[1]["heads"] == {"copied": 4, "pruned": 0, "initialised": 2}
    assert reports[1]["units"] == {"copied": 64, "pruned": 0, "initialised": 16}
    assert reports[2]["heads"]["initialised"] == 4  # heads of six coordinates cannot take over heads of eight
    assert [one["basis"] for one in reports] == ["pca", "identity", "pca", "identity"]
    assert "layer 1: 2 heads, 16 units" in found.initialised
    assert found.copied == ["embeddings", "pooler"]


def test_one_seed_gives_one_student_and_leaves_the_random_state_alone(parent: Parent) -> None:
    state = torch.random.get_rng_state()
    first, second = (inherit(parent, shape(48, 16, 24, 24), seed=3).model.state_dict() for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_the_parent_is_left_as_it_was(parent: Parent) -> None:
    before = {name: tensor.clone() for name, tensor in parent.encoder.state_dict().items()}
    inherit(parent, shape(16, 16, 16, 16))
    assert all(torch.equal(parent.encoder.state_dict()[name], tensor) for name, tensor in before.items())


def test_ridge_agrees_with_scikit_learn_and_shrinks_to_the_given_weights() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 5)), rng.normal(size=(80, 3))
    start = rng.normal(size=(3, 5))
    strength = 0.1
    scale = strength * float(((x - x.mean(0)) ** 2).sum(0).mean())
    oracle = Ridge(alpha=scale).fit(x, y - x @ start.T)
    weight, bias = ridge(
        torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), strength=strength,
        towards=torch.tensor(start, dtype=torch.float32),
    )  # fmt: skip
    np.testing.assert_allclose(weight.numpy(), start + oracle.coef_, atol=1e-4)
    np.testing.assert_allclose(bias.numpy(), oracle.intercept_, atol=1e-4)
    strong, _ = ridge(
        torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), strength=1e6,
        towards=torch.tensor(start, dtype=torch.float32),
    )  # fmt: skip
    np.testing.assert_allclose(strong.numpy(), start, atol=1e-4)


def test_a_norms_gain_and_bias_are_those_of_least_squares() -> None:
    torch.manual_seed(0)
    norm = torch.nn.LayerNorm(6)
    x, wanted = torch.randn(40, 6), torch.randn(40, 6)
    fit_norm(norm, x, wanted)
    plain = torch.nn.functional.layer_norm(x, (6,), eps=norm.eps).numpy()
    for at in range(6):
        slope, intercept = np.polyfit(plain[:, at], wanted[:, at].numpy(), 1)
        assert norm.weight[at].item() == pytest.approx(slope, abs=1e-4)
        assert norm.bias[at].item() == pytest.approx(intercept, abs=1e-4)


def test_more_layers_than_the_parent_has_are_refused(parent: Parent) -> None:
    with pytest.raises(ConfigError, match="5 layers, the parent only 4"):
        inherit(parent, shape(16, 16, 16, 16, 16))


def test_embeddings_of_another_width_are_refused(parent: Parent) -> None:
    with pytest.raises(ConfigError, match="embeddings are 40 wide, the parent's 32"):
        inherit(parent, shape(16, embedding=40))


def test_segments_that_go_back_are_refused(parent: Parent) -> None:
    with pytest.raises(ConfigError, match="does not follow"):
        inherit(parent, shape(16, 16), segments=[(2, 2), (1, 1)])


def test_too_little_text_is_refused_with_the_least_amount() -> None:
    with pytest.raises(DataError, match="only 32 sub-words"):
        look(parent_encoder(1), texts(0, rows=3))


def test_a_shaped_encoder_is_no_parent() -> None:
    model = ShapedBertModel(config_of(shape(16, 24)))
    with pytest.raises(ModelError, match="cannot be a parent"):
        look(model, texts(0))


def test_what_the_parents_layers_compute_is_kept_for_further_students(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.models.shaped import parent as room

    parent.forget()
    first = inherit(parent, shape(16, 24, 8, 32))
    kept = parent.inside(0)
    assert parent.inside(0) is kept
    again = inherit(parent, shape(16, 24, 8, 32))
    monkeypatch.setattr(room, "MEMORY", 0)
    parent.forget()
    assert parent.inside(0) is not parent.inside(0)
    bare = inherit(parent, shape(16, 24, 8, 32))
    for one, other, third in zip(*(found.model.parameters() for found in (first, again, bare)), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_a_student_without_weights_becomes_the_inherited_one_once_it_has_them(
    parent: Parent, held_out: Parent, mode: str
) -> None:
    widths = (16, 24, 24, 32)
    segments = [(0, 0), (1, 1), (2, 2), (3, 3)]
    wanted = inherit(parent, shape(*widths, mode=mode), segments=segments)
    found = without_weights(parent, shape(*widths, mode=mode), segments=segments)
    with torch.no_grad():
        for one, other in zip(found.model.encoder.parameters(), wanted.model.encoder.parameters(), strict=True):
            one.copy_(other)
    assert distance(found, held_out) == distance(wanted, held_out)
    assert found.segments == wanted.segments
    for one, other in zip(found.bases, wanted.bases, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(found.model.parameters(), wanted.model.parameters(), strict=True):
        assert torch.equal(one, other)
