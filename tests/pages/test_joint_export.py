"""Exporting from a joint run's page: one task at a time, each as a run of its own would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.runs.speed import note_export
from core.settings import Home
from pages.ui import keys
from pages.ui import studio as studio_module
from tests.pages.test_run_joint import DETAILS, METRICS, PLAN
from tests.pages.test_run_page import finished, home, opened, words  # noqa: F401


def page(run_id: str) -> None:
    from pages.ui.joint.export import joint_export_tab
    from pages.ui.studio import studio

    joint_export_tab(studio().runs.get(run_id))


def leave(home: Home, run: str, task: str) -> None:  # noqa: F811
    """Leave what tells that a task's weights are there."""
    folder = home.run(run) / "best" / task
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")


def shown(run_id: str) -> AppTest:
    test = AppTest.from_function(page, args=(run_id,), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def test_a_task_is_chosen_and_its_folder_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    run = finished(home, PLAN, METRICS, DETAILS)
    assert "This run has kept none" in words(shown(run))
    for name in ("mood", "mood 2"):
        leave(home, run, name)
    asked: list[Any] = []

    def export(run_id: str, target: Path, overwrite: bool) -> Path:
        asked.append((run_id, target.name, overwrite))
        target.mkdir(parents=True)
        (target / "model.safetensors").write_bytes(b"")
        note_export(home.run(run), target, "safetensors", 1.8e9, run_id.partition("/")[2])
        return target

    studio = studio_module.studio()
    monkeypatch.setattr(studio.runs, "export", export)
    monkeypatch.setattr(studio.models, "describe", lambda source: {"family": "bert"})
    test = shown(run)
    assert test.selectbox(key=f"export_format_tab_{run}/mood").value == "safetensors"
    test.segmented_control(key=f"joint_export_task_tab_{run}").set_value("mood 2").run()
    test.button(key="export_go_tab").click().run()
    assert not test.exception
    assert asked == [(f"{run}/mood 2", f"both-mood-2-{run[-4:]}", False)]
    assert "token-classification" in test.code[-1].value
    test = shown(run)
    (table,) = (one.value for one in test.dataframe)
    assert (list(table["task"]), list(table["format"])) == (["mood 2"], ["safetensors"])


def test_the_page_of_a_joint_run_leads_to_the_export_and_to_a_changed_copy(home: Home) -> None:  # noqa: F811
    run = finished(home, PLAN, METRICS, DETAILS)
    test = opened(run)
    assert [tab.label.split()[-1] for tab in test.tabs][-1] == "Export"
    assert test.button(key=keys.PRIMARY).disabled
    leave(home, run, "mood")
    test = opened(run)
    assert not test.button(key=keys.PRIMARY).disabled
    test.session_state["_run_question"] = ("export", run)
    test.run()
    assert not test.exception
    assert test.text_input(key=f"export_name_dialog_{run}/mood").value == f"both-mood-{run[-4:]}"
