"""Dependency from data to prediction on tiny encoders: learning, windows, packed path, cache, folders, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.cli.predict import _label
from core.config import Plan, TaskConfig
from core.data.tasks import task_for
from core.data.tasks.dependency_decoding import is_tree
from core.errors import DataError, ExportError
from core.models import build_model, export_model, load_finished, predict
from core.models.prediction import ListRows
from core.training import MemoryContext, Outcome, count_steps, train
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits
from core.training.intervals import majority_score
from core.training.parameters import model_parameters
from core.training.plan_check import check_plan
from core.training.prepare import prepare


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, treebank: Path, encoders: Callable[[str], Path]) -> Path:
    plan = Plan.model_validate(
        {
            "name": "toy trees",
            "task": {"kind": "dependency", "stride": 4},
            "data": {"source": str(treebank)},
            "model": {"source": str(encoders("bert")), "max_length": 32, "dropout": 0.0},
            "stages": [{"epochs": 12, "lr": 3e-3, "head_lr": 1e-2, "batch_size": 16}],
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )
    folder = tmp_path_factory.mktemp("trained")
    context = MemoryContext(folder / "run", folder / "cache")
    assert train(plan, context) is Outcome.FINISHED
    assert len(context.series("gate/las")) == len(context.series("gate/tree_share")) == 12
    return context.folder


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_a_run_learns_the_grammar(trained: Path) -> None:
    found = results(trained)
    metrics, test = found["metrics"], found["details"]["test"]
    assert metrics["test/las"] >= 0.95
    assert metrics["test/uas"] >= metrics["test/las"] > test["baseline"]["las"]
    assert set(test["intervals"]) == {"las", "uas", "pointer_accuracy", "tree_share", "loss"}
    assert {one["by"] for one in test["arcs"]} == {"relation", "distance to the head", "length of the sentence"}
    assert sum(one["support"] for one in test["arcs"] if one["by"] == "relation") == test["words"]


def test_predictions_are_trees_with_names(trained: Path) -> None:
    given, split = predict(trained / "best", ["the good cat love a dog", ["a", "man", "read", "the", "city"]])
    assert (given.words, given.heads) == ("the good cat love a dog".split(), [3, 3, 4, 0, 6, 4])  # noqa: SIM905
    assert given.relations == given.label == ["det", "amod", "nsubj", "root", "det", "obj"]
    assert all(0.0 < share <= 1.0 for share in given.scores)
    assert set(given.as_dict()) == {"text", "label", "scores", "words", "heads", "relations"}
    assert split.heads == [2, 3, 0, 5, 3]
    assert predict(trained / "best", [[], "a"])[0].heads == []
    with pytest.raises(DataError, match="at most 500"):
        predict(trained / "best", ["the " * 501])
    odd = predict(trained / "best", [["the", "\u200b", "cat"]])[0]
    assert odd.heads is not None
    assert is_tree(np.array(odd.heads))


def test_the_command_line_says_what_hangs_on_what() -> None:
    item = {"words": ["a", "dog", "ran"], "heads": [2, 3, 0], "relations": ["det", "nsubj", "root"], "label": []}
    assert _label(item) == "a/det→dog dog/nsubj→ran ran/root→·"
    assert _label({**item, "relations": None}) == "a→dog dog→ran ran→·"


def test_long_sentences_are_read_in_windows(trained: Path) -> None:
    words = "the good cat love a dog".split() * 12  # noqa: SIM905
    (found,) = predict(trained / "best", [words])
    assert found.heads is not None
    assert is_tree(np.array(found.heads))
    finished = load_finished(trained / "best")
    # the first word points to the last: no window holds both
    heads = [len(words), *[1] * (len(words) - 2), 0]
    rows = ListRows({"tokens": [words], "heads": [heads], "relations": [[0] * len(words)]})
    encoded = finished.task.encode(rows, finished.tokenizer, 32)
    assert encoded.owner == [0] * len(encoded.features)
    assert len(encoded.features) > 1
    own = np.concatenate([feature["words"][feature["own"]] for feature in encoded.features])
    assert sorted(own.tolist()) == list(range(len(words)))
    learnt = sum(int((feature["labels"][:, 0] >= 0).sum()) for feature in encoded.features)
    assert 0 < encoded.lost == len(words) - learnt
    for feature in encoded.features:
        for at, (head, _) in enumerate(feature["labels"]):
            if head > 0:
                assert feature["words"][head - 1] + 1 == heads[feature["words"][at]]


def test_folders_are_loaded_again_and_go_on(trained: Path, tmp_path: Path, tree_plan: Callable[..., Plan]) -> None:
    stored = load_finished(trained / "best")
    assert type(stored.model).__name__ == "BertForDependency"
    config = tree_plan().model.model_copy(update={"source": str(trained / "best")})
    kept, _ = build_model(config, task_for(TaskConfig(kind="dependency"), stored.task.labels), seed=5)
    assert torch.equal(kept.arcs.pointer.query.weight, stored.model.arcs.pointer.query.weight)
    other, _ = build_model(config, task_for(TaskConfig(kind="dependency"), ["a", "b"]), seed=5)
    assert not torch.equal(other.arcs.pointer.query.weight, stored.model.arcs.pointer.query.weight)
    assert torch.equal(
        other.bert.embeddings.word_embeddings.weight, stored.model.bert.embeddings.word_embeddings.weight
    )
    again, _ = build_model(config, task_for(TaskConfig(kind="dependency"), ["a", "b"]), seed=5)
    assert torch.equal(other.arcs.relation.weight, again.arcs.relation.weight)
    import transformers

    plain = transformers.AutoModel.from_pretrained(trained / "best")
    assert torch.equal(plain.embeddings.word_embeddings.weight, stored.model.bert.embeddings.word_embeddings.weight)


def test_an_export_has_a_card_and_no_graph(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = export_model(trained / "best", tmp_path / "out")
    card = (place / "README.md").read_text()
    assert "gives each word of a sentence its head" in card
    assert "Relations: `amod`, `det`" in card
    assert "| relation |" in card
    assert "Hanging every word on its neighbour" in card
    lines = card.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(place)
    exec(compile(lines, "card", "exec"), {})
    assert "'heads': [" in capsys.readouterr().out
    with pytest.raises(ExportError, match="not written as ONNX"):
        export_model(trained / "best", tmp_path / "onnx", format="onnx")


@pytest.mark.parametrize("family", ["distilbert", "roberta", "deberta-v2", "modernbert", "shaped_bert"])
def test_families_train(tree_plan: Callable[..., Plan], tmp_path: Path, family: str) -> None:
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    assert train(tree_plan(family, steps=2, epochs=None), context) is Outcome.FINISHED
    assert 0.0 <= results(context.folder)["metrics"]["test/uas"] <= 1.0
    assert len(predict(context.folder / "best", ["the dog ran"])[0].heads or []) == 3


def test_a_frozen_encoder_trains_the_head_alone_with_and_without_a_cache(
    tree_plan: Callable[..., Plan], tmp_path: Path, encoders: Callable[[str], Path]
) -> None:
    runs = {}
    for cached in (True, False):
        context = MemoryContext(tmp_path / f"run-{cached}", tmp_path / "cache")
        plan = tree_plan(freeze_encoder=True, cache_activations=cached, lr=1e-2, epochs=2)
        assert train(plan, context) is Outcome.FINISHED
        runs[cached] = results(context.folder)["metrics"]["test/loss"]
        done = load_finished(context.folder / "best").model
    assert runs[True] == pytest.approx(runs[False], rel=1e-3)
    import transformers

    before = transformers.AutoModel.from_pretrained(encoders("bert")).state_dict()
    for name, tensor in done.bert.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_packed_path_computes_the_same(tree_plan: Callable[..., Plan], tmp_path: Path) -> None:
    prepared = prepare(tree_plan(), tmp_path / "cache")
    features, indices = prepared.encoded["train"].features[:6], np.arange(6)
    found = {}
    for path in ("stock", "packed"):
        engine = Engine(prepared, path=path)
        with engine.scoring(), torch.inference_mode():
            found[path], batch = engine.forward(features, indices, "train")
        engine.close()
    words = batch["words"] >= 0
    torch.testing.assert_close(found["packed"][words], found["stock"][words], rtol=1e-4, atol=1e-5)
    counts = prepared.task.label_counts(prepared.encoded["train"])
    assert sum(counts) == sum(len(feature["words"]) for feature in prepared.encoded["train"].features)
    prepared.release()


def test_what_a_gate_compares_with_is_computed(tree_plan: Callable[..., Plan], tmp_path: Path) -> None:
    prepared = prepare(tree_plan(), tmp_path / "cache")
    encoded, task = prepared.encoded["gate"], prepared.task
    sizes = [len(feature["words"]) for feature in encoded.features]
    wanted = sum(size * (np.log(1 + size) + np.log(len(task.labels))) for size in sizes) / sum(sizes)
    assert majority_score(task, "loss", prepared.roles, encoded) == pytest.approx(wanted)
    assert majority_score(task, "las", prepared.roles, encoded) == task.baseline(
        prepared.roles.train, prepared.roles.gate
    )["las"]  # fmt: skip
    assert majority_score(task, "tree_share", prepared.roles, encoded) is None
    engine = Engine(prepared)
    with engine.scoring():
        logits = role_logits(engine.scorer("gate"), encoded)
    assert 0.5 < entropy_share(logits, encoded, prepared.plan.task) < 1.0
    flat = [np.zeros_like(one) for one in logits]
    assert entropy_share(flat, encoded, prepared.plan.task) == pytest.approx(1.0)
    assert distinct_predictions(logits, prepared.plan.task) > 1
    assert count_steps(prepared.plan, cache=tmp_path / "cache")["labels"] == 5


def test_pointers_without_trees_train_and_stand_in_the_plan(tree_plan: Callable[..., Plan], tmp_path: Path) -> None:
    rows = [{"tokens": ["anna", "paul", "lives", str(at)], "heads": [1, 2, 0, 1]} for at in range(32)]
    source = tmp_path / "pointers.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loose = {"tree": False, "relations": False}
    plan = tree_plan(task=loose, source=source, epochs=12, lr=1e-2)
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    assert train(plan, context) is Outcome.FINISHED
    metrics = results(context.folder)["metrics"]
    assert metrics["test/pointer_accuracy"] >= 0.9
    assert "test/uas" not in metrics
    (found,) = predict(context.folder / "best", [["anna", "paul", "lives", "7"]])
    assert found.heads == found.label == [1, 2, 0, 1]
    assert found.relations is None


def test_a_plan_is_checked_and_a_teacher_refused(tree_plan: Callable[..., Plan], tmp_path: Path) -> None:
    found = check_plan(tree_plan(metric="uas"), cache=tmp_path / "cache")
    assert [one for one in found["findings"] if one["level"] == "error"] == []
    wrong = check_plan(tree_plan(metric="accuracy"), cache=tmp_path / "cache")
    assert "las, uas, pointer_accuracy, tree_share, loss" in wrong["findings"][0]["message"]
    with pytest.raises(ValueError, match=r"task\.stride must be below"):
        tree_plan(task={"stride": 30})


def test_parameters_are_listed_before_training(encoders: Callable[[str], Path]) -> None:
    source = str(encoders("bert"))
    both = model_parameters(source, None, TaskConfig(kind="dependency"), 7)
    heads = model_parameters(source, None, TaskConfig(kind="dependency", relations=False), 2)
    assert both["layers"] == heads["layers"] == 2
    assert {name for name, unit in zip(both["names"], both["units"], strict=True) if unit == "head"} > {
        name for name, unit in zip(heads["names"], heads["units"], strict=True) if unit == "head"
    }
    assert both["sizes"][both["names"].index("arcs.relation.bias")] == 7
