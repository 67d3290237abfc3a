"""The run of kind ``distil``: what it leaves, what it refuses, and that a stop changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel, AutoTokenizer, BertModel

from core.config.distil import DistilConfig
from core.errors import ConfigError, DataError, ExportError, ModelError, TrainingDiverged
from core.models.export import export_model
from core.models.origin import read_origin
from core.models.shaped.modeling import ShapedBertModel
from core.models.shaped.register import register
from core.search.distil_run import run
from core.training.context import MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus

WIDTH = 32


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("distil")
    parent = tiny_encoder(folder / "parent", hidden=WIDTH, layers=3, heads=4)
    return {"model": {"source": str(parent)}, "corpus": {"source": str(corpus(folder, 400)), "min_count": 1}}


def shape(*widths: int, **others: Any) -> dict[str, Any]:
    layers = [{"width": width, "heads": min(width // 8, 64), "intermediate": 2 * width} for width in widths]
    return {"layers": layers, "embedding": WIDTH, **others}


def config(material: dict[str, Any], **changes: Any) -> DistilConfig:
    settings = {
        "name": "narrow", "shape": shape(16, 24, 16), "steps": 12, "batch_tokens": 400, "evaluate_every": 5,
        "lr": 1e-3, "runtime": {"threads": 1}, **material, **changes,
    }  # fmt: skip
    return DistilConfig.model_validate(settings)


def context_in(folder: Path, at: dict[int, Request] | None = None) -> MemoryContext:
    folder.mkdir(exist_ok=True)
    return MemoryContext(folder, folder / "cache", at=at or {})


def weights(folder: Path) -> bytes:
    return (folder / "best" / "model.safetensors").read_bytes()


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def done(material: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> MemoryContext:
    context = context_in(tmp_path_factory.mktemp("done") / "run")
    assert run(config(material), context) is Outcome.FINISHED
    return context


def test_it_leaves_a_model_nearer_to_the_parent_than_inheriting_alone(done: MemoryContext) -> None:
    found = results(done.folder)
    assert found["metrics"]["held/after"] < found["metrics"]["held/before"]
    told = found["details"]["distil"]
    assert told["parameters"]["student"] < told["parameters"]["parent"]
    assert [(layer["width"], layer["parent"]) for layer in told["layers"]] == [(16, 1), (24, 2), (16, 3)]
    assert told["layers"][0]["units"] == {"copied": 32, "pruned": 32, "initialised": 0}
    assert told["distance"]["layers"] == [layer["after"] for layer in told["layers"]]
    assert "small" in found["details"]["notices"][-1]


def test_its_folder_is_a_model_with_tokenizer_that_computes_what_was_measured(done: MemoryContext) -> None:
    register()
    model = AutoModel.from_pretrained(done.folder / "best")
    assert isinstance(model, ShapedBertModel)
    assert sum(one.numel() for one in model.parameters()) == results(done.folder)["metrics"]["parameters/student"]
    batch = AutoTokenizer.from_pretrained(done.folder / "best")("a good film", return_tensors="pt")
    assert torch.isfinite(model(**batch).last_hidden_state).all()


def test_its_card_says_what_it_is_and_how_it_loads(done: MemoryContext, material: dict[str, Any]) -> None:
    card = (done.folder / "best" / "README.md").read_text(encoding="utf-8")
    assert "inherited from and distilled from the parent" in card
    assert material["model"]["source"] in card
    assert "register()" in card
    assert "| 2 | 24 | 3 | 48 | 2 | 2 | pca |" in card
    assert f"{results(done.folder)['metrics']['held/after']:.4f} after" in card


def test_its_series_have_every_step_and_every_measurement(done: MemoryContext) -> None:
    assert [step for step, _ in done.series("train/loss")] == list(range(1, 13))
    assert [step for step, _ in done.series("lr")] == list(range(1, 13))
    held = done.series("held/loss")
    assert [step for step, _ in held] == [0, 5, 10, 12]
    assert [list(point) for point in held] == results(done.folder)["details"]["distil"]["curve"]
    assert done.state["step"] == done.state["total_steps"] == 12


def test_nothing_is_left_that_only_the_work_needed(done: MemoryContext) -> None:
    assert sorted(path.name for path in done.folder.iterdir()) == ["best", "results.json"]


def test_a_finished_run_is_not_done_again(done: MemoryContext, material: dict[str, Any]) -> None:
    again = context_in(done.folder)
    assert run(config(material), again) is Outcome.FINISHED
    assert not again.points


def test_a_plain_shape_is_a_stock_bert(material: dict[str, Any], tmp_path: Path) -> None:
    context = context_in(tmp_path / "run")
    run(config(material, shape=shape(32, 32), steps=2), context)
    assert type(AutoModel.from_pretrained(context.folder / "best")) is BertModel
    card = (context.folder / "best" / "README.md").read_text(encoding="utf-8")
    assert "stock transformers loads" in card
    assert "register" not in card


def test_without_a_step_it_is_the_inherited_student(
    done: MemoryContext, material: dict[str, Any], tmp_path: Path
) -> None:
    context = context_in(tmp_path / "run")
    assert run(config(material, steps=0), context) is Outcome.FINISHED
    found = results(context.folder)["metrics"]
    assert found["held/after"] == found["held/before"] == results(done.folder)["metrics"]["held/before"]
    card = (context.folder / "best" / "README.md").read_text(encoding="utf-8")
    assert "its weights were inherited from the parent" in card
    assert "before training" not in card


@pytest.mark.parametrize(("asked", "ends"), [(Request.PAUSE, Outcome.PAUSED), (Request.CANCEL, Outcome.CANCELLED)])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    done: MemoryContext, material: dict[str, Any], tmp_path: Path, asked: Request, ends: Outcome
) -> None:
    context = context_in(tmp_path / "run", {7: asked})
    assert run(config(material), context) is ends
    assert [path.name for path in (context.folder / "checkpoints").iterdir()] == ["00000007"]
    context.at.clear()
    assert run(config(material), context) is Outcome.FINISHED
    assert weights(context.folder) == weights(done.folder)
    assert context.points == done.points
    assert results(context.folder)["metrics"] == results(done.folder)["metrics"]


def test_a_run_that_stopped_without_a_checkpoint_goes_on_from_the_inherited_student(
    done: MemoryContext, material: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_in(tmp_path / "run")

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("core.search.distil_run.distil_states", die)
        with pytest.raises(KeyboardInterrupt):
            run(config(material), context)
    monkeypatch.setattr("core.search.distil_run.inherit", die)  # neither is the corpus read, nor are weights inherited
    monkeypatch.setattr("core.search.distil_run.divide", die)
    assert run(config(material), context) is Outcome.FINISHED
    assert weights(context.folder) == weights(done.folder)


def test_a_parent_that_changed_meanwhile_is_noticed(material: dict[str, Any], tmp_path: Path) -> None:
    parent = tiny_encoder(tmp_path / "parent", hidden=WIDTH, layers=3, heads=4)
    given = config({**material, "model": {"source": str(parent)}})
    context = context_in(tmp_path / "run", {3: Request.PAUSE})
    run(given, context)
    tiny_encoder(tmp_path / "parent", hidden=WIDTH, layers=3, heads=4, seed=1)
    context.at.clear()
    with pytest.raises(ModelError, match="not the one that the run began with"):
        run(given, context)


@pytest.mark.parametrize("mode", ["bus", "stepped"])
def test_a_student_that_has_its_weights_is_trained_from_them(
    done: MemoryContext, material: dict[str, Any], tmp_path: Path, mode: str
) -> None:
    first = context_in(tmp_path / "first")
    run(config(material, shape=shape(24, 16, 24, mode=mode)), first)
    second = context_in(tmp_path / "second")
    run(config(material, shape=None, student=str(first.folder / "best"), lr=1e-4), second)
    before, after = results(first.folder), results(second.folder)
    # A narrow stream is read through maps that are fitted anew, which can only bring it nearer.
    assert after["metrics"]["held/before"] <= before["metrics"]["held/after"] * (
        1.02 if mode == "stepped" else 1 + 1e-9
    )
    assert after["metrics"]["held/after"] < after["metrics"]["held/before"]
    card = (second.folder / "best" / "README.md").read_text(encoding="utf-8")
    assert "its weights were distilled from the parent" in card


def test_a_student_with_embeddings_of_its_own_is_refused(material: dict[str, Any], tmp_path: Path) -> None:
    other = tiny_encoder(tmp_path / "other", hidden=WIDTH, layers=2, heads=4, seed=5)
    with pytest.raises(ConfigError, match="embeddings are not those of the parent"):
        run(config(material, shape=None, student=str(other)), context_in(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"shape": shape(16, 16, 16, 16)}, ConfigError, "4 layers, the parent only 3"),
        ({"shape": shape(16, embedding=40)}, ConfigError, "40 wide, the parent's 32"),
        ({"shape": shape(16_384, 16_384, 16_384)}, ConfigError, "parameters to train, which take"),
        ({"segments": [[2, 2], [1, 1], [0, 0]]}, ConfigError, "does not follow"),
        ({"shape": None, "student": "/nowhere"}, ModelError, "no such model folder"),
        ({"model": {"source": "/nowhere"}}, ModelError, "no such model folder"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_long(
    material: dict[str, Any], tmp_path: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(config(material, **changes), context_in(tmp_path / "run"))


@pytest.mark.parametrize("family", ["distilbert", "shaped_bert"])
def test_a_parent_of_another_family_is_refused(material: dict[str, Any], tmp_path: Path, family: str) -> None:
    parent = tiny_encoder(tmp_path / "parent", family, hidden=WIDTH)
    with pytest.raises(ModelError, match=r"cannot be told apart|cannot be a parent"):
        run(config(material, model={"source": str(parent)}), context_in(tmp_path / "run"))


def test_a_corpus_too_small_is_refused_with_the_least_size(material: dict[str, Any], tmp_path: Path) -> None:
    small = {"source": str(corpus(tmp_path, 20)), "min_count": 1}
    with pytest.raises(DataError, match="sub-words") as error:
        run(config(material, corpus=small), context_in(tmp_path / "run"))
    assert "512" in str(error.value.expected)


def test_a_rate_that_ruins_the_student_ends_with_advice(material: dict[str, Any], tmp_path: Path) -> None:
    parent = tiny_encoder(tmp_path / "parent", hidden=WIDTH, layers=3, heads=4)
    broken = AutoModel.from_pretrained(parent)
    with torch.no_grad():
        broken.encoder.layer[1].output.dense.weight[0, 0] = float("inf")
    broken.save_pretrained(parent)
    with pytest.raises(TrainingDiverged, match="step 1") as error:
        run(config({**material, "model": {"source": str(parent)}}, refit=False), context_in(tmp_path / "run"))
    assert error.value.advice


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": None}, "neither is given"), ({"student": "folder"}, "both are given"), ({"steps": -1}, "steps"),
        ({"lr": 0.0}, "lr"), ({"lr": 5.0}, "lr"), ({"batch_tokens": 3}, "batch_tokens"),
        ({"evaluate_every": 0}, "evaluate_every"), ({"segments": [[0, 0]]}, "1 entries, the shape 3 layers"),
        ({"shape": {"layers": [{"width": 30, "heads": 7, "intermediate": 9}]}}, "do not divide"),
        ({"runtime": {"device": "cuda"}}, "device"),
    ],
)  # fmt: skip
def test_numbers_that_mean_nothing_are_refused_with_the_form(
    material: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        config(material, **changes)


def test_the_folder_can_be_exported_with_its_card(done: MemoryContext, tmp_path: Path) -> None:
    place = export_model(done.folder / "best", tmp_path / "export")
    assert (place / "README.md").read_bytes() == (done.folder / "best" / "README.md").read_bytes()
    made, report = read_origin(place) or ("", {})
    assert (made, report["after"]) == ("distilled", results(done.folder)["metrics"]["held/after"])
    assert AutoModel.from_pretrained(place).config.model_type == "shaped_bert"
    assert export_model(place, tmp_path / "export again", overwrite=True).is_dir()
    assert export_model(done.folder / "best", place, overwrite=True) == place
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    with pytest.raises(ExportError, match="not empty"):
        export_model(done.folder / "best", tmp_path / "mine")
    with pytest.raises(ExportError, match="other things"):
        export_model(done.folder / "best", tmp_path / "mine", overwrite=True)
