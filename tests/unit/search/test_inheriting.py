"""A student's folder from a parent: what is written, what is said of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel
from typer.testing import CliRunner

from core.cli.app import app
from core.config.graph import CorpusConfig
from core.errors import DataError, StorageError
from core.models.shaped.parent import Parent
from core.models.shaped.register import register
from core.search.inheriting import Calibration, calibrate, inherit_folder, shape_of_parent
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parent")
    return tiny_encoder(folder / "encoder", hidden=32, layers=3, heads=4), corpus(folder, 400)


@pytest.fixture(scope="module")
def calibration(material: tuple[Path, Path]) -> Calibration:
    parent, texts = material
    return calibrate(str(parent), CorpusConfig(source=str(texts), min_count=1))


def test_no_text_is_both_fitted_to_and_measured_on(calibration: Calibration) -> None:
    assert calibration.fit.tokens > 1000
    assert calibration.held_out.tokens > 500
    assert calibration.fit.encoder is calibration.held_out.encoder


def test_the_folder_holds_the_student_whose_distance_is_told(calibration: Calibration, tmp_path: Path) -> None:
    shape = shape_of_parent(calibration, [24, 16, 32])
    found = inherit_folder(calibration, shape, tmp_path / "student")
    register()
    model = AutoModel.from_pretrained(tmp_path / "student")
    assert sum(one.numel() for one in model.parameters()) == found["parameters"]["student"]
    assert found["body"]["student"] < found["body"]["parent"]
    assert found["distance"]["loss"] < found["projected"]["loss"]
    assert len(found["layers"]) == len(found["distance"]["layers"]) == 3
    assert json.loads(json.dumps(found)) == found


def test_the_parents_own_shape_is_a_stock_bert_that_computes_the_same(
    calibration: Calibration, material: tuple[Path, Path], tmp_path: Path
) -> None:
    found = inherit_folder(calibration, shape_of_parent(calibration, [32, 32, 32]), tmp_path / "same")
    assert found["distance"]["loss"] < 1e-9
    settings = json.loads((tmp_path / "same" / "config.json").read_text())
    assert settings["model_type"] == "bert"
    ids = torch.arange(5, 15)[None]
    models = [AutoModel.from_pretrained(place).eval() for place in (material[0], tmp_path / "same")]
    with torch.inference_mode():
        first, second = (model(input_ids=ids).last_hidden_state for model in models)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


def test_a_folder_that_holds_something_is_not_touched(calibration: Calibration, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(StorageError, match="not empty"):
        inherit_folder(calibration, shape_of_parent(calibration, [32, 32, 32]), tmp_path)


def test_too_few_texts_are_refused(material: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sub-words|sentences"):
        calibrate(str(material[0]), CorpusConfig(source=str(corpus(tmp_path, 5)), min_count=1))


def test_the_command_takes_widths_or_a_file_and_refuses_what_does_not_fit(
    material: tuple[Path, Path], tmp_path: Path
) -> None:
    parent, texts = material
    common = ["model", "inherit", "--parent", str(parent), "--corpus", str(texts), "--json"]
    run = CliRunner()
    done = run.invoke(app, [*common, "--layers", "24,32", "--out", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert [one["parent"] for one in json.loads(done.stdout)["layers"]] == [1, 2]
    deep = run.invoke(app, [*common, "--layers", "8,8,8,8", "--out", str(tmp_path / "b")])
    assert deep.exit_code == 2
    assert "4 layers, the parent only 3" in json.loads(deep.stdout)["message"]
    (tmp_path / "shape.yaml").write_text("embedding: 32\nlayers:\n  - {width: 24, heads: 5, intermediate: 20}\n")
    wrong = run.invoke(app, [*common, "--shape", str(tmp_path / "shape.yaml"), "--out", str(tmp_path / "c")])
    assert wrong.exit_code == 2
    assert "heads 5 do not divide the width 24" in json.loads(wrong.stdout)["message"]
    assert "line 3" in json.loads(wrong.stdout)["message"]


def test_texts_to_train_on_are_in_no_other_part(material: tuple[Path, Path], tmp_path: Path) -> None:
    parent, _ = material
    found = calibrate(str(parent), CorpusConfig(source=str(corpus(tmp_path, 1200)), min_count=1))
    parts = [
        {tuple(ids[valid].tolist()) for ids, valid in zip(ids_of(one), one.mask, strict=True)}
        for one in (found.fit, found.held_out)
    ]
    trained = {tuple(text) for text in found.train}
    assert sum(map(len, found.train)) > 500
    assert not found.train_notices
    assert len(trained) == len(found.train)
    assert not trained & parts[0]
    assert not trained & parts[1]
    assert not parts[0] & parts[1]


def ids_of(part: Parent) -> torch.Tensor:
    """Return the sub-words of a part, found by what the embeddings make of each at its place."""
    embeddings = part.encoder.embeddings
    with torch.inference_mode():
        words = torch.arange(embeddings.word_embeddings.num_embeddings)[:, None].expand(-1, part.mask.shape[1])
        known = embeddings(input_ids=words)  # (vocabulary, places, width)
        return torch.stack(
            [torch.cdist(part.states[0][:, at], known[:, at]).argmin(1) for at in range(part.mask.shape[1])], dim=1
        )


def test_where_a_small_corpus_leaves_nothing_students_are_trained_on_the_texts_of_the_fit(
    calibration: Calibration,
) -> None:
    assert sum(map(len, calibration.train)) == calibration.fit.tokens
    assert "small" in calibration.train_notices[0]
