"""A model is named by the run that made it: by its id, or by its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.api import Studio
from core.config import Plan
from core.config.distil import DistilConfig
from core.models.sources import resolve
from core.runs.sources import absolute_sources
from core.settings import Home
from tests.tiny import tiny_encoder

ID = "20260101-120000-ab12"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").ensure()
    tiny_encoder(made.run(ID) / "best")
    return made


def model_of(source: str, home: Home | None) -> str:
    return absolute_sources(Plan.model_validate({"model": {"source": source}}), home).model.source


def test_the_id_of_a_run_stands_for_its_best_weights(home: Home) -> None:
    assert model_of(ID, home) == str(home.run(ID) / "best")


@pytest.mark.parametrize("source", ["bundled", "hub:google/bert", "nothing-of-this-name", "a/b", f"../{ID}"])
def test_every_other_name_stays(home: Home, source: str) -> None:
    tiny_encoder(home.runs / "bundled" / "best")
    assert model_of(source, home) == source


def test_without_a_home_an_id_is_a_name_like_any_other(home: Home) -> None:
    assert model_of(ID, None) == ID


def test_students_and_teachers_are_named_the_same_way(home: Home) -> None:
    best = str(home.run(ID) / "best")
    distil = DistilConfig.model_validate({"student": ID, "model": {"source": ID}})
    found = absolute_sources(distil, home)
    assert (found.student, found.model.source) == (best, best)


def test_a_runs_folder_stands_for_the_model_in_it(home: Home) -> None:
    assert resolve(str(home.run(ID))).folder == home.run(ID) / "best"
    assert resolve(str(home.run(ID) / "best")).folder == home.run(ID) / "best"


def test_a_plan_that_is_submitted_names_the_folder(home: Home) -> None:
    plan = Plan.model_validate({"model": {"source": ID}})
    with Studio(home, watch=False) as studio:
        run = studio.runs.submit(plan)
        assert studio.runs.plan(run).model.source == str(home.run(ID) / "best")
