from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.api import Studio
from core.config import DataConfig, Plan, TaskConfig
from core.errors import BertloomError, ConfigError, ModelError, PathRefused, RunError, RunNotFound, StorageError
from core.runs.records import Status
from core.runs.sources import absolute_data
from core.settings import Home
from tests.tiny import tiny_encoder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Home(tmp_path / "home"), watch=False, warm=False) as made:
        yield made


def write_rows(path: Path, rows: int = 120) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            word = ("good", "bad")[number % 2]
            writer.writerow([f"a {word} film {number}", word])
    return path


def make_plan(folder: Path) -> Plan:
    return Plan.model_validate(
        {
            "name": "tiny",
            "data": {"source": str(write_rows(folder / "rows.csv"))},
            "model": {"source": str(tiny_encoder(folder / "encoder")), "max_length": 32},
            "stages": [{"steps": 12, "lr": 1e-3, "batch_size": 8}],
            "runtime": {"device": "cpu", "precision": "fp32", "threads": 1},
        }
    )


def test_importing_the_facade_imports_nothing_heavy() -> None:
    script = (
        "import sys, core.api, core.config, core.runs\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'sklearn', 'scipy', "
        "'streamlit',"
        " 'plotly') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"


def test_the_whole_way_from_a_file_to_an_exported_model(tmp_path: Path) -> None:
    """Also proves that this process needs no torch for any of it."""
    plan = make_plan(tmp_path)
    script = (
        "import sys, json; from pathlib import Path; from core.api import Studio; from core.config import *\n"
        "from core.settings import Home\n"
        "plan = load_plan(sys.argv[2]); out = {}\n"
        "with Studio(Home(Path(sys.argv[1])), warm=False) as studio:\n"
        "    run = studio.runs.submit(plan)\n"
        "    out['preview'] = studio.data.preview(plan.data, plan.task, 5)\n"
        "    out['check'] = studio.data.check(plan.data, plan.task, plan.model)\n"
        "    out['steps'] = studio.steps(plan)\n"
        "    out['curve'] = studio.curve(plan, 12)\n"
        "    record = studio.runs.wait(run, 200)\n"
        "    out['status'], out['error'], out['metrics'] = record.status.value, record.error, record.metrics\n"
        "    out['names'] = studio.runs.series_names(run)\n"
        "    out['report'] = studio.runs.data_report(run) is not None\n"
        "    out['predicted'] = studio.predict('tiny', ['a good film', 'a bad film'])\n"
        "    out['folder'] = str(studio.runs.export(run))\n"
        "    out['again'] = studio.predict(out['folder'], ['a good film', 'a bad film'])\n"
        "    out['models'] = [model['title'] for model in studio.models.list()]\n"
        "    out['disk'] = studio.runs.disk()\n"
        "    out['freed'] = studio.runs.free_space(models=True)\n"
        "    try: studio.predict(run, ['x'])\n"
        "    except Exception as error: out['gone'] = str(error)\n"
        "out['heavy'] = [name for name in ('torch', 'transformers', 'datasets') if name in sys.modules]\n"
        "print(json.dumps(out))\n"
    )
    from core.config import plan_to_yaml

    (tmp_path / "plan.yaml").write_text(plan_to_yaml(plan))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "home"), str(tmp_path / "plan.yaml")],
        capture_output=True, text=True, cwd=ROOT, timeout=220,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert (out["status"], out["error"]) == ("finished", None)
    assert "test/accuracy" in out["metrics"]
    assert {"train/loss", "gate/accuracy"} <= set(out["names"])
    assert out["report"]
    assert out["preview"]["columns"] == ["text", "label"]
    assert len(out["preview"]["rows"]) == 5
    assert out["check"]["ok"]
    assert out["steps"]["steps"] == 12
    assert all(len(group["lr"]) == 12 for group in out["curve"].values())
    assert [set(item["scores"]) for item in out["predicted"]] == [{"good", "bad"}] * 2
    assert out["again"] == out["predicted"]
    assert Path(out["folder"], "model.safetensors").is_file()
    assert any("(exported)" in title for title in out["models"])
    assert out["disk"]["runs"][0]["best"] > 0
    assert out["freed"] > 0
    assert "weights were deleted" in out["gone"]
    assert out["heavy"] == []


def test_uploads_are_kept_inside_the_home(studio: Studio) -> None:
    first = studio.data.save_upload("rows.csv", b"text,label\n")
    assert first.parent == studio.home.uploads.resolve()
    assert studio.data.save_upload("rows.csv", b"text,label\n") == first
    second = studio.data.save_upload("rows.csv", b"other\n")
    assert second.name == "rows-2.csv"
    assert first.read_bytes() == b"text,label\n"
    hostile = studio.data.save_upload("../../etc/passwd.csv", b"x")
    assert hostile.parent == first.parent
    assert studio.data.save_upload("C:\\temp\\data.csv", b"y").name == "data.csv"
    assert studio.data.save_upload("rows (1).csv", b"z").name == "rows _1_.csv"
    for name in ("", "..", ".hidden.csv", "a\0b.csv", "<b>.csv", "x" * 200 + ".csv"):
        with pytest.raises(PathRefused):
            studio.data.save_upload(name, b"x")
    kept = {"rows.csv", "rows-2.csv", "passwd.csv", "data.csv", "rows _1_.csv"}
    assert {item["name"] for item in studio.data.uploads()} == kept


def test_presets_are_saved_by_safe_names(studio: Studio) -> None:
    plan = Plan(name="mine")
    studio.presets.save("Über plan 1", plan)
    assert studio.presets.list() == ["Über plan 1"]
    assert studio.presets.load("Über plan 1") == plan
    with pytest.raises(ConfigError, match="already"):
        studio.presets.save("Über plan 1", plan)
    studio.presets.save("Über plan 1", Plan(name="other"), overwrite=True)
    assert studio.presets.load("Über plan 1").name == "other"
    for name in ("../x", "a/b", ".x", ""):
        with pytest.raises(PathRefused):
            studio.presets.save(name, plan)
    (studio.home.presets / "broken.yaml").write_text("stages: [")
    with pytest.raises(ConfigError, match="YAML"):
        studio.presets.load("broken")
    studio.presets.delete("Über plan 1")
    with pytest.raises(ConfigError, match="no preset"):
        studio.presets.load("Über plan 1")
    with pytest.raises(ConfigError, match="no preset"):
        studio.presets.delete("Über plan 1")


def test_relative_files_are_made_absolute_and_samples_stay_names(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.csv", 4)
    (tmp_path / "reviews").mkdir()
    (tmp_path / "encoder").mkdir()
    plan = Plan.model_validate({"data": {"source": "rows.csv"}, "model": {"source": "encoder"}})
    stored = studio.runs.plan(studio.runs.submit(plan))
    assert stored.data.source == str(tmp_path / "rows.csv")
    assert stored.model.source == str(tmp_path / "encoder")
    stored = studio.runs.plan(studio.runs.submit(Plan()))
    assert (stored.data.source, stored.model.source) == ("reviews", "bundled")
    hub = Plan.model_validate({"data": {"source": "hub:imdb", "gate_source": "rows.csv"}, "model": {"source": "hub:x"}})
    stored = studio.runs.plan(studio.runs.submit(hub))
    assert (stored.data.source, stored.data.gate_source, stored.model.source) == ("hub:imdb", "rows.csv", "hub:x")


def test_what_is_asked_of_a_run_that_cannot_give_it(studio: Studio, tmp_path: Path) -> None:
    run = studio.runs.submit(Plan())
    assert studio.runs.results(run) is None
    assert studio.runs.data_report(run) is None
    assert studio.runs.log(run) == ""
    assert studio.runs.series(run).series == {}
    assert studio.runs.events(run) == []
    for call in (studio.runs.export, lambda run: studio.predict(run, ["x"])):
        with pytest.raises(ModelError, match="no model"):
            call(run)
    with pytest.raises(ModelError, match="holds no model"):
        studio.predict(str(tmp_path), ["x"])
    for call in (studio.runs.get, studio.runs.log, studio.runs.results, studio.runs.series, studio.runs.cancel):
        with pytest.raises(RunNotFound):
            call("../../etc")
    with pytest.raises(RunNotFound):
        studio.runs.submit(Plan(), parent="nobody")
    child = studio.runs.submit(Plan(), parent=run)
    assert studio.runs.get(child).parent == run


def test_damaged_results_are_told(studio: Studio) -> None:
    run = studio.runs.submit(Plan())
    (studio.home.run(run) / "results.json").write_text('{"metrics": ')
    with pytest.raises(StorageError, match="cannot be read"):
        studio.runs.results(run)


def test_free_space_keeps_what_can_be_resumed(studio: Studio) -> None:
    finished, interrupted = studio.runs.submit(Plan()), studio.runs.submit(Plan())
    for run, status in ((finished, Status.FINISHED), (interrupted, Status.INTERRUPTED)):
        claim = studio._store.claims.claim("manager")
        assert claim is not None
        studio._store.claims.end(run, claim.token, status)
        for part in ("checkpoints/00000010", "best"):
            (studio.home.run(run) / part).mkdir(parents=True)
            (studio.home.run(run) / part / "config.json").write_text("x" * 1000)
    (studio.home.cache / "activations").mkdir()
    (studio.home.cache / "activations" / "layer.bin").write_bytes(b"x" * 5000)
    (studio.home.cache / "link").symlink_to(studio.home.exports)
    use = studio.runs.disk()
    assert use["cache"] >= 5000
    assert {item["id"]: (item["checkpoints"], item["best"]) for item in use["runs"]} == {
        finished: (1000, 1000),
        interrupted: (1000, 1000),
    }
    assert studio.runs.free_space() == 6000
    assert studio.home.exports.is_dir()
    assert studio.runs.get(interrupted).has_checkpoint
    assert studio.runs.get(finished).has_model
    assert studio.runs.free_space(checkpoints=False, cache=False, models=True) == 1000
    assert not studio.runs.get(finished).has_model
    studio.runs.resume(interrupted)
    active = studio._store.claims.claim("manager")
    assert active is not None
    (studio.home.cache / "used").write_bytes(b"x" * 100)
    assert studio.runs.free_space() == 0
    assert (studio.home.cache / "used").exists()


def test_the_samples_and_a_preview_error_come_through(studio: Studio, tmp_path: Path) -> None:
    samples = {sample["name"]: sample for sample in studio.data.samples()}
    assert {"reviews", "plots", "headlines", "tweets", "zh-reviews", "zh-news"} <= samples.keys()
    json.dumps(list(samples.values()))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(BertloomError) as caught:
        studio.data.preview(DataConfig(source=str(tmp_path / "empty.csv")), TaskConfig())
    assert "empty.csv" in caught.value.message()


def test_what_stands_in_a_gazetteer_is_read_again_when_it_changes(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the helper process works elsewhere: the name is made absolute before it is asked
    file = tmp_path / "known.csv"
    pointer = {"dictionary": "gazetteer", "gazetteer": "known.csv"}
    task = TaskConfig.model_validate({"kind": "tagging", "head": "pointer", "pointer": pointer})
    file.write_text("entry,type\nRome,place\nAnna,person\nPaul  K,person\n")
    assert studio.data.gazetteer(task) == {
        "source": "known.csv", "entries": 3, "types": {"person": 2, "place": 1},
        "first": [["Rome", "place"], ["Anna", "person"], ["Paul K", "person"]],
    }  # fmt: skip
    file.write_text("entry,type\n,place\n")
    with pytest.raises(BertloomError, match="1 entry of the gazetteer cannot be used"):
        studio.data.gazetteer(task)
    assert studio.data.gazetteer(TaskConfig())["entries"] == 0


def test_a_home_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Studio(Home(tmp_path / "file"))
    home = Home(tmp_path / "home").ensure()
    home.store.write_bytes(b"no database, but quite long enough to be looked at" * 100)
    with pytest.raises(StorageError, match="damaged"):
        Studio(home)


def test_without_watching_a_run_stays_queued(studio: Studio) -> None:
    run = studio.runs.submit(Plan())
    with pytest.raises(RunError, match="still queued"):
        studio.runs.wait(run, 0.5)
    studio.runs.cancel(run)
    assert studio.runs.wait(run, 1).status is Status.CANCELLED


def test_a_file_named_like_a_sample_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("reviews", "rows.csv"):
        Path(name).write_text("text,label\n")
    assert absolute_data(DataConfig(source="reviews")).source == "reviews"
    assert absolute_data(DataConfig(source="./reviews")).source == str(tmp_path / "reviews")
    found = absolute_data(DataConfig(source="rows.csv", gate_source="tweets", test_source="rows.csv"))
    assert (found.source, found.gate_source) == (str(tmp_path / "rows.csv"), "tweets")
    assert found.test_source == str(tmp_path / "rows.csv")
