"""Training a student towards its parent: the loss is the distance's, only layers learn, and a stop changes nothing."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

from core.config.shape import EncoderShape
from core.errors import ConfigError, DataError, TrainingDiverged
from core.models.shaped.distance import distance
from core.models.shaped.inherit import Inherited, inherit
from core.models.shaped.parent import look
from core.search.distilling import Distilled, StateLoss, distil_states, rate
from core.search.inheriting import Calibration
from core.search.lessons import Lesson, Lessons, token_variances
from tests.unit.models.test_shaped_inherit import WIDTH, parent_encoder, shape, texts


def sentences(seed: int, count: int = 80) -> list[list[int]]:
    """Return texts of 4 to 20 sub-words."""
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 60, size=rng.integers(4, 21)).tolist() for _ in range(count)]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    parent = look(parent_encoder(), texts(1))
    return Calibration(parent, look(parent.encoder, texts(2)), None, [], sentences(3))


NARROW = shape(16, 24, 16)


def student_of(calibration: Calibration, wanted: EncoderShape = NARROW) -> Inherited:
    return inherit(calibration.fit, wanted)


def weights(student: Inherited) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in student.model.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def train(student: Inherited, calibration: Calibration, steps: int = 20, **others: Any) -> Distilled:
    return distil_states(
        student, calibration, **{"steps": steps, "batch_tokens": 200, "evaluate_every": 8, "lr": 2e-3, **others}
    )


@pytest.mark.parametrize(
    "wanted", [NARROW, shape(24, 28, 24, mode="stepped"), shape(16, 16, readout=True), shape(32, 32)]
)
def test_training_brings_the_student_nearer_to_its_parent(calibration: Calibration, wanted: EncoderShape) -> None:
    student = student_of(calibration, wanted)
    told = train(student, calibration, 60)
    assert told.after < 0.95 * told.before
    assert told.steps == 60
    assert told.seconds > 0


def test_before_and_after_are_the_distance_on_the_held_out_texts(calibration: Calibration) -> None:
    student = student_of(calibration)
    untrained = distance(student, calibration.held_out).loss
    told = train(student, calibration)
    assert told.before == untrained
    assert told.after == distance(student, calibration.held_out).loss
    assert [step for step, _ in told.curve] == [0, 8, 16, 20]
    assert (told.curve[0][1], told.curve[-1][1]) == (told.before, told.after)


def naive_loss(student: Inherited, calibration: Calibration, lesson: Lesson, goals: list[torch.Tensor]) -> torch.Tensor:
    """Compute the loss text by text and token by token, each text by itself and without padding."""
    fit = calibration.fit
    spreads = [
        ((state[fit.mask] - state[fit.mask].mean(0)) ** 2).sum() / fit.tokens
        for state in (s.clone() for s in fit.states)
    ]
    mask = torch.ones(lesson.stream.shape[:2], dtype=torch.bool) if lesson.mask is None else lesson.mask
    sums = [torch.zeros(()) for _ in range(len(student.segments) + 1)]
    for row, valid in zip(range(len(mask)), mask, strict=True):
        stream = lesson.stream[row : row + 1, : int(valid.sum())]
        for at, (layer, (_, reaches)) in enumerate(zip(student.model.encoder.layer, student.segments, strict=True)):
            stream = layer(stream)
            for token in range(stream.shape[1]):
                wanted = goals[reaches + 1][row, token].clone()
                found = student.bases[at].clone() @ stream[0, token]
                sums[at] = sums[at] + ((found - wanted) ** 2).sum() / spreads[reaches + 1]
        readout = getattr(student.model.encoder, "readout", None)
        if readout is not None:
            stream = readout["LayerNorm"](stream + readout["dense"](stream))
        for token in range(stream.shape[1]):
            found = student.bases[-1].clone() @ stream[0, token]
            sums[-1] = sums[-1] + ((found - goals[-1][row, token].clone()) ** 2).sum() / spreads[-1]
    *layers, last = [total / mask.sum() for total in sums]
    return last + sum(layers) / len(layers)


@pytest.mark.parametrize(
    ("wanted", "segments"),
    [
        (shape(16, 24, 16), None), (shape(16, 24, mode="stepped"), None), (shape(16, 24, readout=True), None),
        (shape(16, 24), [(0, 1), (2, 2)]),  # the last layer stops short of the parent's last
    ],
)  # fmt: skip
def test_loss_and_gradients_are_those_of_a_naive_computation(
    calibration: Calibration, wanted: EncoderShape, segments: Any
) -> None:
    student = inherit(calibration.fit, wanted, segments=segments)
    lessons = Lessons(calibration.fit.encoder, sentences(4, 30), 90)
    lesson = next(one for one in map(lessons.lesson, range(len(lessons))) if one.mask is not None)
    assert lesson.mask is not None
    goals = [torch.zeros(*lesson.mask.shape, WIDTH) for _ in range(5)]
    for at, state in enumerate(lesson.states, 1):
        goals[at][lesson.mask] = state
    parameters = list(student.model.encoder.parameters())
    loss = StateLoss(student, calibration)(lesson)
    found = torch.autograd.grad(loss, parameters)
    oracle = naive_loss(student, calibration, lesson, goals)
    expected = torch.autograd.grad(oracle, parameters)
    torch.testing.assert_close(loss, oracle, rtol=1e-5, atol=1e-6)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_loss_of_the_held_out_texts_as_one_batch_is_their_distance(calibration: Calibration) -> None:
    student, held = student_of(calibration), calibration.held_out
    own = Calibration(held, held, None, [])  # the variances are those of the texts that are measured
    states = tuple(state.clone()[held.mask] for state in held.states[1:])
    lesson = Lesson(held.mask, held.bias.clone(), held.states[0].clone(), states)
    with torch.no_grad():
        assert float(StateLoss(student, own)(lesson)) == pytest.approx(distance(student, held).loss, rel=1e-4)


def test_one_seed_gives_one_student_and_another_seed_another(calibration: Calibration) -> None:
    found = []
    for seed in (0, 0, 1):
        student = student_of(calibration)
        told = train(student, calibration, seed=seed)
        found.append((weights(student), told.curve))
    assert equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert not equal(found[0][0], found[2][0])


@pytest.mark.parametrize("at", [3, 8, 19])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(calibration: Calibration, at: int) -> None:
    undisturbed = student_of(calibration)
    expected = train(undisturbed, calibration)
    kept: dict[str, Any] = {}

    def keep(step: int, state: Any) -> None:
        if step == at:
            kept.update(copy.deepcopy(state()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(student_of(calibration), calibration, on_state=keep)
    fresh = Calibration(
        calibration.fit, calibration.held_out, None, [], calibration.train
    )  # nothing was kept of states
    resumed = student_of(fresh)
    found = train(resumed, fresh, state=kept)
    assert equal(weights(resumed), weights(undisturbed))
    assert (found.before, found.after, found.curve) == (expected.before, expected.after, expected.curve)


def test_a_training_can_be_made_longer(calibration: Calibration) -> None:
    student, kept = student_of(calibration), {}
    short = train(student, calibration, 10, on_state=lambda step, state: kept.update(state()))
    told = train(student, calibration, 30, state=copy.deepcopy(kept))
    assert told.before == short.before
    assert told.after < short.after
    assert told.steps == 30
    assert [step for step, _ in told.curve] == [0, 8, 10, 16, 24, 30]


def test_a_training_that_is_done_is_not_done_again(calibration: Calibration) -> None:
    student, kept = student_of(calibration), {}
    first = train(student, calibration, 10, on_state=lambda step, state: kept.update(state()))
    before = weights(student)
    again = train(student, calibration, 10, state=copy.deepcopy(kept))
    assert equal(weights(student), before)
    assert again.curve == first.curve


def test_the_parents_own_copy_starts_at_nothing_and_stays_near(calibration: Calibration) -> None:
    told = train(student_of(calibration, shape(*[WIDTH] * 4)), calibration, 40, lr=5e-4)
    assert told.before < 1e-9
    assert told.after < 0.01


def test_only_layers_and_readout_learn(calibration: Calibration) -> None:
    student = student_of(calibration, shape(16, 24, mode="stepped"))
    bases = [basis.clone() for basis in student.bases]
    before, parent = weights(student), weights_of_parent(calibration)
    train(student, calibration)
    after = weights(student)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("encoder.")}
    assert all(torch.equal(one, other) for one, other in zip(bases, student.bases, strict=True))
    assert equal(parent, weights_of_parent(calibration))
    assert not student.model.training
    assert all(parameter.grad is None for parameter in student.model.parameters())


def weights_of_parent(calibration: Calibration) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in calibration.fit.encoder.state_dict().items()}


def test_a_request_to_stop_is_heard_between_two_steps(calibration: Calibration) -> None:
    seen: list[int] = []

    def check() -> None:
        if len(seen) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(student_of(calibration), calibration, check=check, on_step=lambda step, loss, lr: seen.append(step))
    assert seen == [1, 2, 3, 4, 5]


def test_steps_and_measurements_are_told(calibration: Calibration) -> None:
    steps: list[tuple[int, float, float]] = []
    measured: list[tuple[int, float]] = []
    told = train(
        student_of(calibration), calibration, lr=1e-3, on_step=lambda *one: steps.append(one),
        on_eval=lambda *one: measured.append(one),
    )  # fmt: skip
    assert [step for step, _, _ in steps] == list(range(1, 21))
    assert [lr for _, _, lr in steps] == [1e-3 * rate(step, 20) for step in range(1, 21)]
    assert all(math.isfinite(loss) for _, loss, _ in steps)
    assert tuple(measured) == told.curve


def test_the_rate_rises_over_the_warm_up_and_falls_to_the_end_without_a_step_of_rate_nothing() -> None:
    rates = [rate(step, 20, 0.1) for step in range(1, 21)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.06
    assert [rate(step, 3, 0.0) for step in (1, 2, 3)] == [0.75, 0.5, 0.25]
    assert rate(1, 1, 0.1) == 1.0


def test_a_loss_that_is_no_number_stops_with_advice(calibration: Calibration) -> None:
    student = student_of(calibration)
    with torch.no_grad():
        student.model.encoder.layer[0].output.dense.weight.fill_(math.nan)
    with pytest.raises(TrainingDiverged, match="step 1") as error:
        train(student, calibration)
    assert "learning rate" in str(error.value.advice)


def test_the_state_of_another_student_is_refused(calibration: Calibration) -> None:
    kept: dict[str, Any] = {}
    train(student_of(calibration), calibration, 2, on_state=lambda step, state: kept.update(copy.deepcopy(state())))
    with pytest.raises(ConfigError, match="another shape"):
        train(student_of(calibration, shape(16, 16, 16)), calibration, 4, state=kept)
    with pytest.raises(ConfigError, match="2 steps are done, of 1"):
        train(student_of(calibration), calibration, 1, state=kept)


def test_every_text_is_in_one_batch_and_every_batch_in_each_epoch(calibration: Calibration) -> None:
    lessons = Lessons(calibration.fit.encoder, calibration.train, 100)
    assert sorted(at for batch in lessons.batches for at in batch) == list(range(len(calibration.train)))
    for batch in lessons.batches:
        sizes = [len(calibration.train[at]) for at in batch]
        assert max(sizes) * len(sizes) <= 100
    for epoch in (0, 1, 5):
        steps = range(epoch * len(lessons), (epoch + 1) * len(lessons))
        assert sorted(lessons.number(7, step) for step in steps) == list(range(len(lessons)))
    assert [lessons.number(7, step) for step in range(6)] != [lessons.number(8, step) for step in range(6)]


def test_little_of_a_batch_is_padding(calibration: Calibration) -> None:
    lessons = Lessons(calibration.fit.encoder, sentences(5, 2000), 400)
    padded = sum(one.stream.shape[0] * one.stream.shape[1] for one in map(lessons.lesson, range(len(lessons))))
    assert padded < 1.03 * lessons.tokens


def test_states_are_the_same_bits_whether_kept_or_not(calibration: Calibration) -> None:
    keeping, forgetting = (Lessons(calibration.fit.encoder, calibration.train, 200, memory=size) for size in (10**9, 0))
    for number in (0, 3, 0):
        first, second = keeping.lesson(number), forgetting.lesson(number)
        assert torch.equal(first.stream, second.stream)
        assert all(torch.equal(one, other) for one, other in zip(first.states, second.states, strict=True))


def test_a_batchs_states_are_those_that_the_parent_gives_each_text(calibration: Calibration) -> None:
    encoder = calibration.fit.encoder
    lessons = Lessons(encoder, calibration.train, 200)
    lesson = lessons.lesson(0)
    at = 0
    for row in lessons.batches[0]:
        text = calibration.train[row]
        with torch.inference_mode():
            wanted = encoder(torch.tensor([text]), output_hidden_states=True).hidden_states[1:]
        for state, level in zip(lesson.states, wanted, strict=True):
            torch.testing.assert_close(state[at : at + len(text)], level[0], rtol=1e-3, atol=2e-3)
        at += len(text)


def test_the_variance_of_tokens_is_numpys(calibration: Calibration) -> None:
    fit = calibration.fit
    found = token_variances(fit.states, fit.mask)
    expected = [state[fit.mask].double().numpy().var(axis=0).sum() for state in fit.states]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_too_few_texts_to_train_on_are_refused(calibration: Calibration) -> None:
    none = Calibration(calibration.fit, calibration.held_out, None, [], sentences(0, 5))
    with pytest.raises(DataError, match="sub-words to train on"):
        train(student_of(calibration), none)
