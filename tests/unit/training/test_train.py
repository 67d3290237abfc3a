"""Whole runs on tiny encoders."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.config import Plan, TaskConfig
from core.errors import ConfigError, DeviceError, TrainingDiverged
from core.training import MemoryContext, Outcome, Request, count_steps, dry_run, train
from core.training.device import exclusive, reading_errors


def results(context: MemoryContext) -> dict:
    return json.loads((context.folder / "results.json").read_text())


def test_classification_learns_and_leaves_everything(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    plan = make_plan(stage={"epochs": 14, "lr": 4e-3, "head_lr": 5e-3})
    assert train(plan, context) is Outcome.FINISHED
    found = results(context)
    assert found["metrics"]["test/accuracy"] >= 0.7
    assert context.series("train/loss")[-1][1] < 0.6 * context.series("train/loss")[0][1]
    assert set(found) == {"metrics", "details", "choices", "training", "stages", "decisions", "environment"}
    assert {"gate/accuracy", "gate/loss", "test/macro_f1", "test/mcc"} <= found["metrics"].keys()
    assert found["details"]["test"]["n"] == 12
    assert found["choices"]["precision"] == "fp32"
    assert (
        found["environment"]["versions"]["torch"] == torch.__version__.split("+")[0]
        or "torch" in found["environment"]["versions"]
    )
    steps = found["training"]["steps"]
    assert [step for step, _ in context.series("train/loss")] == list(range(1, steps + 1))
    for name in (
        "train/grad_norm",
        "train/examples_per_s",
        "train/tokens_per_s",
        "train/memory_mb",
        "lr/encoder",
        "lr/head",
    ):
        assert len(context.series(name)) == steps, name
    assert len(context.series("gate/accuracy")) == 14
    best = max(value for _, value in context.series("gate/accuracy"))
    assert found["training"]["best"]["value"] == best == found["metrics"]["gate/accuracy"]
    assert (context.folder / "data_report.json").exists()
    assert not (context.folder / "checkpoints").exists()
    card = json.loads((context.folder / "best" / "bertloom.json").read_text())
    assert card["metrics"] == found["metrics"]
    assert context.state["phase"] == "finished"


def test_drawn_curve_equals_used_rates(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    from core.training import curve

    plan = make_plan(
        stage={
            "layer_decay": 0.5,
            "head_lr": 2e-3,
            "schedule": {"name": "cosine_with_restarts", "warmup": 0.2, "options": {"num_cycles": 2}},
        }
    )
    drawn = curve(plan, count_steps(plan, cache=context.cache)["steps"])
    train(plan, context)
    for name, points in drawn.items():
        assert context.series(f"lr/{name}") == list(zip(points["steps"], points["lr"], strict=True))
    assert {name for name, _ in context.points if name.startswith("lr/")} == {f"lr/{name}" for name in drawn}


def test_tagging_learns(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(make_plan(tagging=True, stage={"epochs": 6, "lr": 5e-3}), context)
    assert results(context)["metrics"]["test/strict_f1"] >= 0.7
    assert results(context)["details"]["test"]["entities"]


def test_best_model_is_the_one_that_is_tested(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plan = make_plan(stage={"epochs": 4, "lr": 5e-3})
    train(plan, context)
    model = AutoModelForSequenceClassification.from_pretrained(context.folder / "best").eval()
    tokenizer = AutoTokenizer.from_pretrained(context.folder / "best")
    from core.data.roles import load_roles

    roles = load_roles(plan.data, plan.task, cache=context.cache)
    with torch.inference_mode():
        logits = model(**tokenizer(list(roles.test["text"]), padding=True, return_tensors="pt")).logits
    accuracy = float((logits.argmax(-1) == torch.tensor(roles.test["label"])).float().mean())
    assert accuracy == pytest.approx(results(context)["metrics"]["test/accuracy"])


@pytest.mark.parametrize(("keep", "left"), [("best", {"best"}), ("all", {"best", "checkpoints"}), ("metrics", set())])
def test_what_a_finished_run_keeps(
    keep: str, left: set[str], make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    train(make_plan(stage={"epochs": 1}, runtime={"keep": keep, "checkpoint_every_steps": 2}), context)
    assert {path.name for path in context.folder.iterdir() if path.is_dir()} == left


def test_without_gate_rows_the_last_weights_are_the_best(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    train(make_plan(data={"gate_share": 0.0}, stage={"epochs": 1}), context)
    assert (context.folder / "best" / "model.safetensors").exists()
    assert not context.series("gate/loss")
    assert "test/accuracy" in results(context)["metrics"]


def test_early_stopping(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(
        make_plan(
            stage={"epochs": 30, "lr": 1e-9, "early_stopping": {"patience": 2, "min_delta": 0.01}, "metric": "loss"}
        ),
        context,
    )
    found = results(context)["training"]
    assert found["stopped_early"]
    assert found["steps"] == 3 * 6
    assert any("Stopped early" in event["message"] for event in context.events)


def test_loss_guard_stops_a_run_and_says_so(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.engine import Engine

    real = Engine.loss

    def broken(self: Engine, features: list, indices: np.ndarray, role: str = "train") -> tuple:
        total, weight, logits = real(self, features, indices, role)
        return (total * float("nan") if context.step == 4 else total), weight, logits

    monkeypatch.setattr(Engine, "loss", broken)
    with pytest.raises(TrainingDiverged, match="at step 5"):
        train(make_plan(), context)
    assert context.events[-1]["kind"] == "guard"
    assert not (context.folder / "results.json").exists()


def test_single_class_guard_stops_a_run(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.session.distinct_predictions", lambda *_: 1)
    plan = make_plan(stage={"epochs": 4, "guards": {"single_class": 2}})
    with pytest.raises(TrainingDiverged, match="one class"):
        train(plan, context)
    assert [step for step, _ in context.series("gate/loss")] == [6, 12]


def test_distinct_predictions() -> None:
    from core.training.evaluation import distinct_predictions

    same, other = np.array([0.1, 0.9]), np.array([0.9, 0.1])
    one, many = TaskConfig(), TaskConfig(multi_label=True)
    assert distinct_predictions([same, same], one) == 1
    assert distinct_predictions([same, other], one) == 2
    assert distinct_predictions([np.stack([same, other])], one) == 2  # tags of one window
    signs = [np.array([1.0, -1.0]), np.array([1.0, 1.0])]
    assert distinct_predictions(signs, many) == 2
    assert distinct_predictions(signs, TaskConfig(multi_label=True, threshold=0.9)) == 1


@pytest.mark.parametrize("guards", [{}, {"nan": False}])
def test_weights_that_are_not_numbers_spoil_neither_best_nor_checkpoint(
    guards: dict, make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from core.training.session import Session

    real = Session.step

    def spoil(self: Session, batch: np.ndarray, own: int, rates: dict) -> object:
        taken = real(self, batch, own, rates)
        if own == 6:
            with torch.no_grad():
                for name in self.optimiser.names:
                    self.prepared.parameters[name].fill_(float("nan"))
        return taken

    monkeypatch.setattr(Session, "step", spoil)
    runtime = {"log_every": 10, "checkpoint_every_steps": 8, "keep": "all"}
    plan = make_plan(stage={"epochs": 3, "eval_every": 4, "guards": guards}, runtime=runtime)
    if guards:
        train(plan, context)
        assert context.state["best"]["step"] == 4
    else:
        with pytest.raises(TrainingDiverged, match="at step 7"):
            train(plan, context)
        assert not list((context.folder / "checkpoints").glob("*"))
        assert any(step == 8 and value != value for step, value in context.series("train/loss"))
    weights = load_file(context.folder / "best" / "model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_a_run_without_one_sound_evaluation_fails(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.engine import Engine

    real = Engine.forward

    def broken(self: Engine, *args: object, **kwargs: object) -> tuple:
        logits, batch = real(self, *args, **kwargs)
        return logits * float("nan"), batch

    monkeypatch.setattr(Engine, "forward", broken)
    with pytest.raises(TrainingDiverged, match="no best model"):
        train(make_plan(stage={"guards": {"nan": False}}), context)


@pytest.mark.parametrize(
    ("stage", "match"),
    [
        ({"metric": "bleu"}, "no metric 'bleu'"),
        ({"class_weights": {"good": 2.0}}, "'good', which is no label"),
        ({"class_weights": {"pos": -1.0}}, "class weight of 'pos'"),
        ({"groups": [{"pattern": "nothing", "lr": 1.0}]}, "matches no parameter"),
        ({"schedule": {"options": {"oddity": 1}}}, "no option 'oddity'"),
        ({"freeze_layers": 3}, "2 layers"),
    ],
)
def test_wrong_plans_are_refused(
    stage: dict, match: str, make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    with pytest.raises(ConfigError, match=match):
        train(make_plan(stage=stage), context)
    assert not context.points


def test_requests_before_the_first_step(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    context.at = {0: Request.CANCEL}
    assert train(make_plan(), context) is Outcome.CANCELLED
    assert not context.points


def test_pause_while_testing_keeps_the_last_state(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    class Asked(MemoryContext):
        asked = True

        def request(self) -> Request:
            return Request.PAUSE if self.asked and self.state.get("phase") == "testing" else Request.NONE

    asked = Asked(context.folder, context.cache)
    plan = make_plan(stage={"epochs": 1})
    assert train(plan, asked) is Outcome.PAUSED
    assert (context.folder / "checkpoints" / "00000006").is_dir()
    asked.asked = False
    assert train(plan, asked) is Outcome.FINISHED
    assert results(asked)["training"]["steps"] == 6


def test_full_disk_keeps_the_best_model_in_memory(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.training.files as files

    class Relieved(MemoryContext):
        def progress(self, **values: object) -> None:
            super().progress(**values)
            if values.get("step", 0) == 12:  # space is freed before the end
                monkeypatch.undo()

    calm = MemoryContext(context.folder.with_name("calm"), context.cache)
    plan = make_plan(stage={"epochs": 2})
    train(plan, calm)
    relieved = Relieved(context.folder, context.cache)
    monkeypatch.setattr(files, "free_bytes", lambda _: 0)
    assert train(plan, relieved) is Outcome.FINISHED
    assert any("could not be written yet" in event["message"] for event in relieved.events)
    assert results(relieved)["metrics"] == results(calm)["metrics"]


def test_best_model_that_can_never_be_written_fails_the_run_with_the_reason(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.training.files as files
    from core.errors import StorageError

    plan = make_plan(stage={"epochs": 1})
    monkeypatch.setattr(files, "free_bytes", lambda _: 0)
    with pytest.raises(StorageError, match="nearly full"):
        train(plan, context)
    assert not (context.folder / "results.json").exists()
    monkeypatch.undo()
    assert train(plan, context) is Outcome.FINISHED


def test_torch_is_left_as_it_was(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    train(make_plan(stage={"epochs": 1}), context)
    assert (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    ) == before
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_two_runs_at_once_in_one_process_are_refused(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    with exclusive(deterministic=False), pytest.raises(DeviceError, match="Another run"):
        train(make_plan(), context)
    with exclusive(deterministic=False):
        pass


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_out_of_memory_gives_advice(error: Exception) -> None:
    with pytest.raises(DeviceError, match="batch_tokens"), reading_errors():
        raise error


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shapes"), reading_errors():
        raise RuntimeError("shapes do not fit")


def test_dry_run_agrees_with_the_run(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    plan = make_plan(stage={"epochs": 1.5, "batch_tokens": 200})
    counted = count_steps(plan, cache=context.cache)
    estimate = dry_run(plan, cache=context.cache)
    train(plan, context)
    steps = results(context)["training"]["steps"]
    assert counted["steps"] == estimate["steps"] == steps
    assert counted["rows"] == estimate["rows"] == {"train": 96, "gate": 12, "test": 12}
    assert 0 < estimate["seconds_low"] <= estimate["seconds"] <= estimate["seconds_high"]
    assert estimate["memory_mb"] > 50
    assert (
        estimate["parameters"]
        == estimate["trainable_parameters"]
        == sum(parameter.numel() for parameter in _stock(plan).parameters())
    )
    assert estimate["cut_share"] == counted["cut_share"]
    assert len(estimate["lr"]["all"]["steps"]) == steps
    assert {"threads", "precision", "path"} == estimate["choices"].keys()


@pytest.mark.parametrize("stage", [{"freeze_encoder": True}, {"freeze_layers": 1}])
def test_dry_run_counts_the_cache_and_the_trained_part(
    stage: dict, make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    estimate = dry_run(make_plan(stage=stage), cache=context.cache)
    assert estimate["trainable_parameters"] < estimate["parameters"]
    assert estimate["cache_mb"] >= 0
    assert not (context.folder / "activations").exists()


def _stock(plan: Plan) -> torch.nn.Module:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(plan.model.source)


def test_importing_the_room_imports_no_torch() -> None:
    import subprocess
    import sys

    code = "import core.training, sys; assert not {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
