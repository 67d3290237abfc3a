"""The router shows every page's frame, without loading what training needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import Home
from pages.ui import security, studio
from tests.e2e.fake_run import FakeRun

ROOT = Path(__file__).parents[2]
ROUTER = str(ROOT / "pages" / "ui" / "router.py")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    yield Home(tmp_path / "home")
    studio.close()


def test_neither_runs_nor_planner_nor_a_run_imports_torch_or_transformers(tmp_path: Path) -> None:
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
from core.settings import home
from pages.ui.studio import close
from tests.e2e.fake_run import FakeRun
HEAVY = ("torch", "transformers", "datasets", "sklearn")
with FakeRun(home()) as fake:
    fake.advance(40)
    fake.finish()
    test = AppTest.from_file({ROUTER!r}, default_timeout=60)
    for page in ("", "stage_planner", "run"):
        if page:
            test.switch_page(f"../{{page}}.py")
        if page == "run":
            test.query_params["id"] = fake.id
        test.run()
        assert not test.exception, [page, *(item.message for item in test.exception)]
        heavy = sorted(name for name in HEAVY if name in sys.modules)
        assert not heavy, (page, heavy)
        if page == "stage_planner":
            assert any(box.label == "Learning rate" for box in test.number_input)
        else:
            assert len(test.title) + len(test.markdown) >= 1
close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "BERTLOOM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_home_that_cannot_be_used_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    test = AppTest.from_file(ROUTER, default_timeout=60).run()
    assert not test.exception
    assert "home folder" in test.error[0].value.lower()
    assert "BERTLOOM\\_HOME" in test.error[0].value


def test_nobody_gets_in_without_signing_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "sign_in_configured", lambda: True)
    home.ensure()
    test = AppTest.from_file(ROUTER, default_timeout=60).run()
    assert not test.exception
    assert [title.value for title in test.title] == ["Bertloom"]
    assert not test.sidebar.children
    assert not (home.root / "bertloom.sqlite").exists()


def test_the_active_run_stands_in_the_sidebar(home: Home) -> None:
    with FakeRun(home, name="my *own* run") as fake:
        fake.advance(300)
        test = AppTest.from_file(ROUTER, default_timeout=60).run()
    assert not test.exception
    words = " ".join(item.value for item in (*test.sidebar.markdown, *test.sidebar.caption))
    assert "Running" in words
    assert "step 300 of 3,000" in words.replace("\\", "")


def test_one_studio_a_process_and_a_new_one_for_another_home(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = studio.studio()
    assert studio.studio() is first
    assert studio.open_studio(watch=True) is first
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "other"))
    other = studio.studio()
    assert other is not first
    assert other.home.root == tmp_path / "other"


def test_the_studio_survives_a_reload_of_its_module(home: Home) -> None:
    import importlib

    first, before = studio.studio(), dict(vars(studio))
    try:
        assert importlib.reload(studio).studio() is first
    finally:
        vars(studio).update(before)  # other modules have bound these functions, and tests after this one look for them
