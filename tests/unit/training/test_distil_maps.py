"""Students of other widths and shapes, losses between layers alone, layers matched by likeness, changing weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import Plan
from core.config.distillation import WeightSchedule
from core.config.recipes import recipe
from core.config.shape import EncoderShape
from core.errors import ConfigError, StorageError
from core.models.cka import cka_matrix
from core.training import MemoryContext, Outcome, train
from core.training.attempt import Attempt
from core.training.distil import opening
from core.training.distil.likeness import TOKENS, layer_likeness
from core.training.distil.maps import GROUP, PREFIX
from core.training.distil.matching import pairs_now
from core.training.distil.weights import weight_at
from tests.tiny import shaped_encoder
from tests.unit.training.test_distil_stage import distil, loss_of
from tests.unit.training.test_resume import Killed, Mortal, same

Maker = Callable[..., Plan]
NARROW = {"hidden": 16}
DEEP = {"layers": 3}
HIDDEN = {"kind": "hidden", "distance": "mse"}


def head(folder: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(folder / "best" / "model.safetensors")
    return {name: tensor for name, tensor in tensors.items() if name.startswith("classifier")}


def test_a_narrower_student_learns_through_maps_that_no_model_keeps(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    states = [HIDDEN, {"kind": "embedding", "distance": "cosine"}]
    stage = {**distil(teacher(), alpha=0.5, states=states, maps_lr=0.02), "epochs": 4, "lr": 2e-3}
    plan = make_plan(stage=stage, shape=NARROW, runtime={"keep": "all", "checkpoint_every_steps": 5})
    assert train(plan, context) is Outcome.FINISHED
    for name in ("hidden", "embedding"):
        values = [value for _, value in context.series(f"distil/{name}")]
        assert values[-1] < 0.8 * values[0]
    assert max(rate for _, rate in context.series(f"lr/{GROUP}")) <= 0.02
    (last,) = (context.folder / "checkpoints").glob("0*")
    kept = {name: tensor for name, tensor in load_file(last / "model.safetensors").items() if name.startswith(PREFIX)}
    assert {name: tuple(tensor.shape) for name, tensor in kept.items()} == {
        f"{PREFIX}0.16x32": (32, 16), f"{PREFIX}1.16x32": (32, 16),
    }  # fmt: skip
    best = load_file(context.folder / "best" / "model.safetensors")
    assert not any(PREFIX in name for name in best)


CASES: dict[str, dict[str, Any]] = {
    "maps": {"shape": NARROW, "distil": {"states": [HIDDEN, {"kind": "relation", "layers": "last"}]}},
    "likeness and changing weights": {
        "shape": {}, "teacher": {"shape": DEEP},
        "distil": {
            "alpha": 0.1, "alpha_schedule": {"name": "linear", "to": 0.9, "begin": 0.2, "end": 0.8},
            "states": [
                {**HIDDEN, "map": "linear", "layers": "cka", "schedule": {"name": "cosine", "to": 0.0}},
                {"kind": "relation", "weight": 0.0, "schedule": {"name": "step", "to": 1.0, "begin": 0.5}},
            ],
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "dies"), [("maps", 4), ("likeness and changing weights", 1), ("likeness and changing weights", 7)]
)
def test_killed_and_resumed_is_bit_for_bit_the_same(
    case: str, dies: int, make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked = []

    def likeness(*args: Any, **options: Any) -> np.ndarray:
        asked.append(1)
        return layer_likeness(*args, **options)

    monkeypatch.setattr(opening, "layer_likeness", likeness)
    given = CASES[case]
    plan = make_plan(
        stage=distil(teacher(**given.get("teacher", {})), **given["distil"]), shape=given["shape"],
        runtime={"keep": "all", "checkpoint_every_steps": 3, "log_every": 2, "seed": 2},
    )  # fmt: skip
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    broken = Mortal(tmp_path / "broken", shared_cache, dies_at=dies)
    with pytest.raises(Killed):
        train(plan, broken)
    assert train(plan, broken) is Outcome.FINISHED
    assert broken.died
    same(calm, broken)
    # With a checkpoint the pairs are those that were found first; without one the stage begins again.
    found = 0 if "likeness" not in case else 1
    assert len(asked) == found * (3 if dies < 3 else 2)


def test_going_back_puts_back_the_maps(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = teacher()  # before its own training would be counted
    begun: list[dict[str, torch.Tensor]] = []
    ended: list[dict[str, torch.Tensor]] = []
    real = Attempt.steps

    def steps(self: Attempt) -> None:
        maps = self.owner.session.maps
        begun.append({name: one.detach().clone() for name, one in maps.items()})
        real(self)
        ended.append({name: one.detach().clone() for name, one in maps.items()})

    monkeypatch.setattr(Attempt, "steps", steps)
    gate = {"gate": {"reference": 1.0}, "on_fail": "cut", "max_retries": 1, "on_exhausted": "rollback"}
    stage = {**distil(source, states=[HIDDEN]), **gate, "epochs": 1}
    assert train(make_plan(stage=stage, shape=NARROW), context) is Outcome.FINISHED
    assert len(begun) == 2
    (name,) = begun[0]
    assert torch.equal(begun[0][name], begun[1][name])
    assert not torch.equal(begun[0][name], ended[0][name])


def test_a_student_that_is_its_teacher_has_nothing_to_learn(
    opened: Callable[..., Any], teacher: Callable[..., str]
) -> None:
    source = teacher()
    states = [
        {"kind": "hidden", "distance": distance, "positions": positions, "map": way}
        for distance in ("mse", "cosine", "normalised") for positions in ("all", "first") for way in ("none", "linear")
    ][:8]  # fmt: skip
    _, engine, objective = opened(
        distil(source, alpha=1.0, states=states), model={"source": str(Path(source) / "best")}
    )
    loss_of(engine, np.arange(12)).backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert all(abs(told[f"distil/hidden_{number}"]) < 1e-5 for number in range(1, 9))
    assert all(one.grad is None for one in objective.teachers[0].finished.model.parameters())


def test_layers_alone_leave_the_head_and_what_is_above_them_bit_for_bit(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path
) -> None:
    """Also the weight decay: without answers the head gets no gradient, not one of zeros."""
    source = str(Path(teacher(shape=DEEP)) / "best")
    folders = {}
    for name, lr in (("before", 1e-9), ("after", 1e-2)):
        distilled = distil(source, answers=0, states=[{"kind": "relation", "layers": "last"}])
        stage = {**distilled, "steps": 4, "lr": lr, "weight_decay": 0.5}
        context = MemoryContext(tmp_path / name, shared_cache)
        plan = make_plan(stage=stage, model={"source": source, "keep_layers": 2}, data={"gate_share": 0})
        assert train(plan, context) is Outcome.FINISHED
        folders[name] = context.folder
        if name == "after":
            relation = [value for _, value in context.series("distil/relation")]
            assert relation[-1] < relation[0]
            assert context.series("distil/weight_gold")[0][1] == 0
    before, after = (head(folders[name]) for name in ("before", "after"))
    assert all(torch.equal(after[name], before[name]) for name in before)
    weights = [load_file(folders[name] / "best" / "model.safetensors") for name in ("before", "after")]
    above, below = (f"bert.encoder.layer.1.{name}.weight" for name in ("output.dense", "attention.self.query"))
    assert torch.equal(weights[0][above], weights[1][above])
    assert not torch.equal(weights[0][below], weights[1][below])


def test_weights_change_as_planned_and_are_told(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    linear = {"name": "linear", "to": 0.0}
    stage = distil(
        teacher(), alpha=0.0, alpha_schedule={"name": "linear", "to": 1.0},
        states=[{**HIDDEN, "weight": 2.0, "schedule": linear}],
    )  # fmt: skip
    assert train(make_plan(stage={**stage, "steps": 6}), context) is Outcome.FINISHED
    told = {
        name: [value for _, value in context.series(f"distil/weight_{name}")] for name in ("gold", "soft", "hidden")
    }
    rising, falling = WeightSchedule(name="linear", to=1.0), WeightSchedule.model_validate(linear)
    assert told["soft"] == pytest.approx([weight_at(0.0, rising, step, 6) for step in range(1, 7)])
    assert told["gold"] == pytest.approx([1 - value for value in told["soft"]])
    assert told["hidden"] == pytest.approx([weight_at(2.0, falling, step, 6) for step in range(1, 7)])


def test_likeness_is_the_cka_of_what_the_layers_give(opened: Callable[..., Any], teacher: Callable[..., str]) -> None:
    stage = distil(teacher(shape=DEEP), states=[{**HIDDEN, "layers": "cka"}])
    prepared, engine, objective = opened(stage, shape=NARROW)
    model = objective.teachers[0].finished.model
    found = layer_likeness(engine, model, objective.student, objective.teacher)
    features = prepared.encoded["train"].features
    batch = prepared.task.collate(features, prepared.tokenizer)
    here = batch["attention_mask"].bool()
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    with torch.no_grad(), engine.scoring():
        states = [
            [one[here].numpy() for one in encoder(**inputs, output_hidden_states=True).hidden_states[1:]]
            for encoder in (prepared.model, model)
        ]
    np.testing.assert_allclose(found, cka_matrix(*states), atol=1e-5)
    assert objective.pairs == [objective.alike]
    assert [own for own, _ in objective.alike] == [1, 2]


def test_which_layers_were_matched_is_a_decision(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    stage = {**distil(teacher(shape=DEEP), states=[{**HIDDEN, "layers": "cka"}]), "steps": 1}
    train(make_plan(stage=stage), context)
    (told,) = (event for event in context.events if "matched by linear CKA" in event["message"])
    now = pairs_now(make_plan(stage=stage), 0, cache=context.cache)  # what a person is told before the run
    assert [tuple(pair) for pair in now["pairs"]] == [tuple(pair) for pair in told["data"]["pairs"]]
    assert np.asarray(now["likeness"]) == pytest.approx(np.asarray(told["data"]["likeness"]), abs=2e-4)
    assert 0 < now["tokens"] <= TOKENS
    with pytest.raises(ConfigError, match="no teacher"):
        pairs_now(make_plan(stage={}), 0, cache=context.cache)
    assert told["kind"] == "decision"
    assert [pair[0] for pair in told["data"]["pairs"]] == [1, 2]
    assert np.asarray(told["data"]["likeness"]).shape == (2, 3)


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_layers_of_a_shaped_student_have_widths_and_heads_of_their_own(
    mode: str, make_plan: Maker, teacher: Callable[..., str], context: MemoryContext, tmp_path: Path
) -> None:
    layers = [{"width": 24, "heads": 2}, {"width": 16, "heads": 4}]
    shape = EncoderShape.model_validate({"mode": mode, "layers": layers, "embedding": 32})
    folder = shaped_encoder(tmp_path / "shaped", shape)
    states = [HIDDEN, {"kind": "relation", "layers": "uniform"}, {"kind": "attention", "layers": [[1, 2]]}]
    stage = {**distil(teacher(), alpha=0.5, states=states), "epochs": 2, "lr": 5e-3}
    plan = make_plan(stage=stage, model={"source": str(folder)}, runtime={"keep": "all"})
    assert train(plan, context) is Outcome.FINISHED
    for name in ("relation", "attention", "hidden"):
        values = [value for _, value in context.series(f"distil/{name}")]
        assert values[-1] < values[0]
    (last,) = (context.folder / "checkpoints").glob("0*")
    maps = {name for name in load_file(last / "model.safetensors") if name.startswith(PREFIX)}
    assert maps == (set() if mode == "bus" else {f"{PREFIX}0.24x32", f"{PREFIX}0.16x32"})


@pytest.mark.parametrize(
    ("state", "shape", "where", "told"),
    [
        ({**HIDDEN, "map": "none"}, NARROW, "states.0.map", "Set map to linear"),
        ({"kind": "attention"}, {"heads": 4}, "states.0", "has 4 heads"),
        ({"kind": "relation", "heads": 5}, {}, "states.0.heads", "5 relation heads do not divide"),
        ({**HIDDEN, "layers": [[1, 7]]}, {}, "states.0.layers", "they have 2 and 2"),
        ({**HIDDEN, "layers": "skip"}, {"layers": 1}, "states.0.layers", "without its last layer"),
    ],
)
def test_layers_that_do_not_fit_are_refused_with_the_place(
    state: dict[str, Any], shape: dict[str, Any], where: str, told: str, make_plan: Maker,
    teacher: Callable[..., str], context: MemoryContext,
) -> None:  # fmt: skip
    with pytest.raises(ConfigError, match=told) as caught:
        train(make_plan(stage=distil(teacher(), states=[state]), shape=shape), context)
    assert caught.value.where == f"stages.0.distil.{where}"


def test_a_teacher_whose_labels_bear_other_names_is_understood_once_they_are_told(
    make_plan: Maker, teacher: Callable[..., str], material: Path, tmp_path: Path, shared_cache: Path
) -> None:
    """With the right names it scores what it scored on its own rows; with the two swapped, the rest."""
    source, text = teacher(), (material / "reviews.csv").read_text()
    path = tmp_path / "other.csv"
    path.write_text(text.replace(",neg", ",Negative").replace(",pos", ",Positive"))

    def score(names: dict[str, str], **data: str) -> float:
        stage = {**distil(source), "steps": 1}
        stage["distil"]["teachers"][0]["labels"] = names
        context = MemoryContext(tmp_path / str(len(list(tmp_path.iterdir()))), shared_cache)
        train(make_plan(stage=stage, data=data), context)
        return next(float(one["data"]["value"]) for one in context.events if "scores gate/" in one["message"])

    with pytest.raises(ConfigError, match="not those of the data") as caught:
        score({}, source=str(path))
    assert "labels: {neg: Negative, pos: Positive}" in str(caught.value.advice)
    own = score({})
    assert own > 0.5
    assert score({"neg": "Negative", "pos": "Positive"}, source=str(path)) == pytest.approx(own)
    assert score({"neg": "Positive", "pos": "Negative"}, source=str(path)) == pytest.approx(1 - own)
    with pytest.raises(ConfigError, match="no label 'good'") as caught:
        score({"good": "Positive"}, source=str(path))
    assert caught.value.where == "stages.0.distil.teachers.0.labels"


def test_a_cache_folder_that_is_full_is_told_before_anything_is_written(
    opened: Callable[..., Any], teacher: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = teacher()
    monkeypatch.setattr("core.training.distil.answers.free_bytes", lambda place: 1000)
    with pytest.raises(StorageError, match="nearly full: the teacher's answers") as caught:
        opened(distil(source))
    assert "cache: false" in str(caught.value.advice)
    assert not list((tmp_path / "cache").glob("teachers/*/answers*"))
    _, engine, _ = opened(distil(source, cache=False))  # then they stay in memory
    assert loss_of(engine, np.arange(4)).isfinite()


@pytest.mark.parametrize("name", ["tinybert", "pkd"])
def test_a_recipe_trains_a_student_of_another_width(
    name: str, make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    base = make_plan(shape=NARROW)
    one = recipe(name)
    assert one is not None
    plan = one.plan(base.data, base.task, teacher=teacher(), layers=2, width=32, model=base.model, student=(2, 16))
    stages = [stage.model_copy(update={"steps": 3}) for stage in plan.stages]
    plan = plan.model_copy(update={"stages": stages, "runtime": base.runtime})
    assert train(plan, context) is Outcome.FINISHED
    assert (context.folder / "best" / "model.safetensors").is_file()
