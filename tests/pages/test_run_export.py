"""Exporting from a run's page: formats, ONNX in the background with what was checked, what was written so far."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import ExportError
from core.runs.speed import note_export
from core.settings import Home
from pages.ui import security
from pages.ui import studio as studio_module
from tests.e2e.fake_run import FakeRun

BATCHES = {"batches": [[1, 3]], "max_difference": 4.8e-07, "mean_difference": 1e-7, "largest": 0.61, "agreement": 1.0,
           "answers": 11}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Leave a finished run with weights."""
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    home = Home(tmp_path / "home").ensure()
    with FakeRun(home, name="my <b>model</b>") as fake:
        fake.finish()
        best = home.run(fake.id) / "best"
        best.mkdir()
        (best / "config.json").write_text("{}")
        yield fake.id
    studio_module.close()


def page(run_id: str) -> None:
    from pages.ui.run_tabs import export_tab
    from pages.ui.studio import studio

    export_tab(studio().runs.get(run_id))


def opened(run_id: str) -> AppTest:
    test = AppTest.from_function(page, args=(run_id,), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def write(target: Path, **about: Any) -> Path:
    """Leave what an ONNX export leaves."""
    target.mkdir(parents=True)
    (target / "model.onnx").write_bytes(b"x" * 2000)
    told = {"format": "onnx-int8", "file_bytes": 2000, "batches": BATCHES, "rows": {"why": "<i>gone</i>"}, **about}
    (target / "onnx.json").write_text(json.dumps(told))
    (target / "README.md").write_text("# m\n\n```python\nimport onnxruntime\n```\n")
    return target


def test_onnx_is_written_in_the_background_and_tells_what_was_checked(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, gate, at_work, asked = studio_module.studio(), threading.Event(), threading.Event(), []

    def export(run_id: str, target: Path, overwrite: bool, *, format: str, tell: Any, cancel: Any) -> Path:
        asked.append((run_id, target.name, overwrite, format))
        tell(0.5, "quantising the weights")
        at_work.set()
        gate.wait(60)
        write(target)
        note_export(studio.home.run(run_id), target, format, 1.8e9)
        return target

    monkeypatch.setattr(studio.runs, "export", export)
    test = opened(run)
    test.selectbox(key=f"export_format_tab_{run}").set_value("onnx-int8").run()
    test.button(key="export_go_tab").click().run()
    assert test.button(key="export_go_tab").disabled
    assert at_work.wait(60)
    assert asked == [(run, f"my--b-model--b-{run[-4:]}-onnx-int8", False, "onnx-int8")]
    going = studio.students.exporting(run)
    assert going is not None
    assert (going.share, going.doing) == (0.5, "quantising the weights")
    gate.set()
    while not going.done:
        gate.wait(0.01)
    test = opened(run)  # after a reload
    (told,) = test.success
    assert "differ from torch's by at most 4.8e-07" in told.value
    assert "100\\.0 % of 11 on random pieces" in told.value
    assert "<i>" not in test.caption[-1].value.replace("\\<", "")
    assert [one.value.strip() for one in test.code][-1] == "import onnxruntime"
    (table,) = (one.value for one in test.dataframe)
    assert list(table["format"]) == ["onnx-int8"]
    assert table["file"][0] == "2.0 kB"


def test_a_model_that_cannot_be_written_says_why_and_the_form_stays(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: Any, **__: Any) -> Path:
        raise ExportError("A model of the family x cannot be written as ONNX.", advice="Export it as safetensors.")

    studio = studio_module.studio()
    monkeypatch.setattr(studio.runs, "export", export)
    going = studio.students.export(run, None, format="onnx")
    while not going.done:
        threading.Event().wait(0.01)
    test = opened(run)
    assert "cannot be written as ONNX" in test.error[0].value
    assert not test.button(key="export_go_tab").disabled
    assert not test.success


def test_exports_that_are_gone_or_were_replaced_are_not_listed(tmp_path: Path) -> None:
    from core.runs.speed import read_exports

    folder = tmp_path / "run"
    here, replaced, gone = (tmp_path / name for name in ("here", "replaced", "gone"))
    for place in (here, replaced):
        write(place)
    for number, place in enumerate((gone, replaced, here)):
        note_export(folder, place, "onnx-int8", number)
    (replaced / "onnx.json").write_text(json.dumps({"format": "onnx"}))
    (one,) = read_exports(folder)
    assert (one["name"], one["about"]["file_bytes"]) == ("here", 2000)
    note_export(folder, here, "onnx-int8", 9)
    assert [entry["time"] for entry in read_exports(folder)] == [9]
    (folder / "exports.json").write_text("{")
    assert read_exports(folder) == []
