"""Pruning a model folder: what is written, and that the report says what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config import DataConfig, ModelConfig, TaskConfig
from core.data.tasks import task_for
from core.errors import ConfigError, StorageError
from core.models import build_model, describe, load_finished, save_model
from core.models.origin import read_origin
from core.training.pruning import Pruning, prune_folder
from tests.tiny import tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"), hidden=32, heads=4, intermediate=48)


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    words = ["good film", "bad film", "great story and fun", "awful plot", "fine day", "dull night"]
    rows = [f"{words[at % 6]} number {at},{'pos' if at % 2 == 0 else 'neg'}" for at in range(60)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return DataConfig(source=str(tmp_path / "rows.csv"))


def trained(encoder: Path, folder: Path, labels: tuple[str, ...] = ("neg", "pos")) -> Path:
    task = task_for(TaskConfig(), list(labels))
    model, tokenizer = build_model(ModelConfig(source=str(encoder), max_length=32), task, seed=0)
    save_model(folder, model, tokenizer, task, max_length=32, plan=None, metrics={})
    return folder


def ask(source: Path, out: Path, data: DataConfig, tmp_path: Path, **wanted: Any) -> dict[str, Any]:
    return prune_folder(str(source), out, Pruning(**wanted), data, cache=tmp_path / "cache")


def test_an_encoder_is_pruned_by_energy_and_says_how_near_it_stays(
    encoder: Path, data: DataConfig, tmp_path: Path
) -> None:
    found = ask(encoder, tmp_path / "out", data, tmp_path, heads=0.5, units=0.25)
    assert found["measure"] == "energy"
    assert [(one["heads"], one["intermediate"]) for one in found["layers"]] == [(2, 12), (2, 12)]
    assert found["body"]["after"] < found["body"]["before"]
    assert 0 < found["lost"]["similarity"] < 1
    assert found["seconds"]["ratio"] == pytest.approx(found["seconds"]["after"] / found["seconds"]["before"])
    model, _ = build_model(
        ModelConfig(source=str(tmp_path / "out"), max_length=32), task_for(TaskConfig(), ["neg", "pos"]), seed=0
    )
    assert sum(one.numel() for one in model.base_model.encoder.parameters()) == found["body"]["after"]


def test_a_trained_model_is_pruned_by_gradient_and_its_score_is_told_before_and_after(
    encoder: Path, data: DataConfig, tmp_path: Path
) -> None:
    found = ask(trained(encoder, tmp_path / "best"), tmp_path / "out", data, tmp_path, heads=0.5)
    assert found["measure"] == "gradient"
    assert found["lost"]["metric"] == "accuracy"
    assert load_finished(tmp_path / "out").task.labels == ["neg", "pos"]
    assert 0 <= found["lost"]["after"] <= 1


def test_the_folder_says_how_it_was_made_and_which_heads_went(encoder: Path, data: DataConfig, tmp_path: Path) -> None:
    found = ask(encoder, tmp_path / "out", data, tmp_path, heads=0.5, units=0.5, test_rows=4)
    assert read_origin(tmp_path / "out") == ("pruned", found)
    assert [sum(head["kept"] for head in layer) for layer in found["heads"]] == [2, 2]
    for layer in found["heads"]:
        went = [head["score"] for head in layer if not head["kept"]]
        assert max(went) <= min(head["score"] for head in layer if head["kept"])
        assert max(head["score"] for head in layer) == pytest.approx(1.0)
    assert found["rows"]["test"] == 4 < found["rows"]["of"]
    assert describe(str(tmp_path / "out")).origin == "pruned"


def test_how_far_it_has_come_is_told_in_order(encoder: Path, data: DataConfig, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    prune_folder(
        str(encoder), tmp_path / "out", Pruning(heads=0.5), data, cache=tmp_path / "cache",
        tell=lambda share, doing: told.append((share, doing)),
    )  # fmt: skip
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert list(dict.fromkeys(doing for _, doing in told))[-2:] == [
        "timing a batch before and after", "writing the folder"
    ]  # fmt: skip


def test_keeping_all_but_a_unit_changes_little(encoder: Path, data: DataConfig, tmp_path: Path) -> None:
    little = ask(encoder, tmp_path / "little", data, tmp_path, units=47 / 48)["lost"]["similarity"]
    much = ask(encoder, tmp_path / "much", data, tmp_path, units=1 / 48)["lost"]["similarity"]
    assert much < little
    assert little > 0.99


def test_data_with_other_labels_is_refused(encoder: Path, data: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="labels are not those of the model"):
        ask(trained(encoder, tmp_path / "best", ("a", "b")), tmp_path / "out", data, tmp_path, heads=0.5)


def test_a_gradient_without_a_head_is_refused(encoder: Path, data: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a trained head"):
        ask(encoder, tmp_path / "out", data, tmp_path, heads=0.5, measure="gradient")


def test_nothing_to_prune_and_a_folder_with_something_in_it_are_refused(
    encoder: Path, data: DataConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Nothing would be pruned"):
        ask(encoder, tmp_path / "out", data, tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(StorageError, match="not empty"):
        ask(encoder, tmp_path / "full", data, tmp_path, heads=0.5)
