"""What a joint run has learnt is exported task by task, like runs of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config.joint import JointPlan
from core.errors import ExportError, ModelError
from core.models import export_model, load_finished, onnx_export
from core.models.onnx_folder import ABOUT, ONNX, read_about
from core.runs.control import Control
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from core.training import MemoryContext, Outcome
from core.training.joint import train
from tests.pages.test_run_export import BATCHES


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    with Studio(Home(tmp_path / "home"), watch=False) as found:

        def call(name: str, arguments: dict[str, Any], **_: Any) -> str:
            assert name == "export"
            return str(
                export_model(
                    arguments["source"], arguments["target"], overwrite=arguments["overwrite"],
                    format=arguments["format"], cache=found.home.cache,
                )
            )  # fmt: skip

        monkeypatch.setattr(found._helper, "call", call)
        yield found


def trained(studio: Studio, plan: JointPlan, cache: Path) -> str:
    """Leave a finished run with its weights and results."""
    store = Store(studio.home)
    run = Control(store).submit(plan, kind="joint", now=True)
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(claim.id, claim.token)
    assert train(plan, MemoryContext(studio.home.run(run), cache)) is Outcome.FINISHED
    store.claims.end(claim.id, claim.token, Status.FINISHED, error=None, metrics={}, size=0)
    store.close()
    return run


def test_each_task_has_a_folder_of_its_own(
    studio: Studio,
    joint: Callable[..., JointPlan],
    joint_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_checked(source: Path, folder: Path, format: str, **_: Any) -> dict[str, Any]:
        about = {
            "format": format, "opset": 18, "inputs": ["input_ids", "attention_mask"], "padding": 0, "file_bytes": 5,
            "batches": BATCHES, "rows": None, "source": str(source),
        }  # fmt: skip
        (folder / ONNX).write_bytes(b"graph")
        (folder / ABOUT).write_text(json.dumps(about))
        return about

    monkeypatch.setattr(onnx_export, "write_checked", write_checked)  # what it checks is tested elsewhere
    run = trained(studio, joint("mood", "where", training={"steps": 4}, name="two of them"), joint_cache)
    with pytest.raises(ModelError, match="a model for each of its tasks"):
        studio.runs.export(run)
    with pytest.raises(ModelError, match="no model for a task 'moon'"):
        studio.runs.export(f"{run}/moon")
    folder = studio.runs.export(f"{run}/where")
    assert folder == studio.home.exports / f"two-of-them-where-{run}"
    assert load_finished(folder).task.kind == "question_answering"
    card = (folder / "README.md").read_text()
    assert f"(run `{run}/where`)" in card
    results = studio.runs.results(run)
    assert results is not None
    assert f"| test | f1 | {results['metrics']['test/where/f1']:.4f} |" in card
    assert "mood" not in card
    assert "| train |" in card  # the rows of this task
    with pytest.raises(ExportError, match="not empty"):
        studio.runs.export(f"{run}/where")

    graph = studio.runs.export(f"{run[:17]}/mood", tmp_path / "graph", format="onnx")
    assert read_about(graph)["source"] == str(studio.home.run(run) / "best" / "mood")
    assert [(one["task"], one["format"]) for one in studio.students.exports(run)] == [
        ("mood", "onnx"), ("where", "safetensors"),
    ]  # fmt: skip
    with pytest.raises(ExportError, match="not written as ONNX"):
        studio.runs.export(f"{run}/where", tmp_path / "asked", format="onnx")
    going = studio.students.export(f"{run}/mood", tmp_path / "again", format="safetensors")
    while not going.done:
        going.cancel.wait(0.01)
    assert going.error is None
    assert studio.students.exporting(f"{run}/mood") is going
