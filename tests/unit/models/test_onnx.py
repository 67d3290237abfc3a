"""ONNX exports: they answer as torch does, say how they were checked, and what is no such export is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.config import Plan
from core.errors import ConfigError, ExportError, ModelError
from core.models import export_model, load_finished, predict
from core.models import onnx_check as check_module
from core.models import onnx_export as export_module
from core.models.bench import bench_models
from core.models.bench_process import Measured
from core.models.onnx_folder import is_onnx, load_onnx, open_session, read_about, read_graph
from core.runs.records import Status
from core.runs.speed import note_export
from core.runs.store import Store
from core.runs.student_desk import StudentDesk
from core.runs.table import NewRun
from core.settings import Home

TEXTS = ["the film was good", "anna lives in paris", "a dull story, and a long one: it was sad and bad and dull", "x"]
Exported = Callable[..., Path]


@pytest.fixture(scope="session")
def exported(trained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give an ONNX export of a model; each is written once (that takes seconds), and tests must not write into it."""
    made: dict[Any, Path] = {}

    def get(family: str = "bert", kind: str = "classification", multi_label: bool = False) -> Path:
        key = (family, kind, multi_label)
        if key not in made:
            target = tmp_path_factory.mktemp("onnx") / "export"
            with pytest.MonkeyPatch.context() as patch:
                if multi_label:  # head and weights are those of one label a text: only what is made of them differs
                    patch.setattr(export_module, "write_onnx", _rewriting(get()))
                made[key] = export_model(source_of(trained, *key), target, format="onnx")
        return made[key]

    return get


def source_of(trained: Callable[..., Path], family: str = "bert", *kind: Any) -> Path:
    return trained(family, *kind, layers=2 if family == "shaped_bert" else 1)


@pytest.fixture
def rewritten(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the graph that was written before."""
    monkeypatch.setattr(export_module, "write_onnx", _rewriting(exported()))


def _rewriting(folder: Path) -> Callable[..., list[str]]:
    def write(finished: Any, file: Path) -> list[str]:
        shutil.copyfile(folder / "model.onnx", file)
        return list(read_about(folder)["inputs"])

    return write


@pytest.fixture
def copied(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported(), tmp_path / "copy"))


def same(one: Any, other: Any) -> None:
    assert one.label == other.label
    if isinstance(one.scores, dict):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    else:
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


@pytest.mark.parametrize(
    ("family", "kind", "multi_label"),
    [("bert", "classification", False), ("bert", "classification", True), ("shaped_bert", "tagging", False)],
)
def test_it_answers_as_torch_does_at_any_length_and_batch(
    family: str, kind: str, multi_label: bool, trained: Callable[..., Path], exported: Exported
) -> None:
    import torch

    folder, source = exported(family, kind, multi_label), source_of(trained, family, kind, multi_label)

    finished, session = load_finished(source), open_session(folder / "model.onnx", 1)
    assert [one.shape for one in session.get_inputs()] == [["batch", "length"]] * len(session.get_inputs())
    generator = np.random.default_rng(5)
    for texts, length in ((1, 1), (5, 11), (3, 31)):  # none of the sizes that the export itself looked at
        ids = generator.integers(5, 60, (texts, length))
        mask = (np.arange(length) < np.linspace(length, 1, texts).astype(int)[:, None]).astype(np.int64)
        ids[mask == 0] = finished.tokenizer.pad_token_id
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * (ids % 2)}
        given = {name: given[name] for name in (one.name for one in session.get_inputs())}
        (found,) = session.run(["logits"], given)
        with torch.inference_mode():
            wanted = finished.model(**{name: torch.from_numpy(array) for name, array in given.items()}).logits.numpy()
        if kind == "tagging":
            found, wanted = found[mask > 0], wanted[mask > 0]
        assert found == pytest.approx(wanted, abs=1e-4)
        assert np.ptp(wanted) > 1e-2  # answers that are all alike would prove nothing
    for one, other in zip(predict(folder, TEXTS), predict(source, TEXTS), strict=True):
        same(one, other)
    about = read_about(folder)
    assert about["batches"]["max_difference"] <= 1e-4
    assert about["batches"]["agreement"] == 1.0
    assert about["parameters"] == sum(one.numel() for one in finished.model.parameters())
    assert about["file_bytes"] == (folder / "model.onnx").stat().st_size
    assert about["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    names = sorted(file.name for file in folder.iterdir() if file.name != "special_tokens_map.json")
    assert set(names) == {
        "README.md", "bertloom.json", "config.json", "model.onnx", "onnx.json", "plan.yaml", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip


def snippet_of(folder: Path) -> str:
    match = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match.group(1)


@pytest.mark.parametrize(("family", "kind"), [("bert", "classification"), ("shaped_bert", "tagging")])
def test_the_lines_of_the_card_run_without_torch_and_bertloom(family: str, kind: str, exported: Exported) -> None:
    folder = exported(family, kind)
    barred = "".join(f"sys.modules[{name!r}] = None; " for name in ("core", "torch", "transformers"))
    code = f"import sys; {barred}\n{snippet_of(folder)}"
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    if kind == "tagging":
        (prediction,) = predict(folder, ["Anna lives in Paris."])
        assert done.stdout.strip() == str(list(zip(prediction.words or [], prediction.label, strict=True)))
        return
    for line, prediction in zip(
        done.stdout.strip().splitlines(), predict(folder, ["A text to classify.", "Another one."]), strict=True
    ):
        shares = json.loads(line.removeprefix(prediction.text).strip().replace("'", '"'))
        assert shares == pytest.approx(prediction.scores, abs=2e-4)


@pytest.mark.usefixtures("rewritten")
def test_eight_bits_are_smaller_and_say_what_they_change(
    trained: Callable[..., Path], exported: Exported, tmp_path: Path
) -> None:
    whole, folder = exported(), export_model(source_of(trained), tmp_path / "export", format="onnx-int8")
    about = read_about(folder)
    assert about["format"] == "onnx-int8"
    assert about["file_bytes"] < 0.8 * read_about(whole)["file_bytes"]
    assert read_graph(folder).quantised
    assert not read_graph(whole).quantised
    assert about["batches"]["max_difference"] > 0
    assert 0 <= about["batches"]["agreement"] <= 1
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"logits differ by at most {about['batches']['max_difference']:.2g}" in card
    assert "Weights of 8 bits change answers" in card
    assert not list(folder.glob("*full*"))
    for one, other in zip(predict(folder, TEXTS), predict(whole, TEXTS), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=0.2)


@pytest.mark.usefixtures("rewritten")
def test_a_graph_that_answers_otherwise_is_no_export(trained: Callable[..., Path], tmp_path: Path) -> None:
    source = Path(shutil.copytree(source_of(trained), tmp_path / "source"))
    from safetensors.torch import load_file, save_file

    weights = load_file(source / "model.safetensors")
    weights["classifier.bias"] += 3e-4
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match=r"does not answer as torch does: a logit differs by 0\.0003"):
        export_model(source, tmp_path / "export", format="onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source"]
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match="no numbers"):
        export_model(source, tmp_path / "export", format="onnx-int8")


def test_rows_of_its_own_data_are_compared_too(
    trained: Callable[..., Path], exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(shutil.copytree(source_of(trained), tmp_path / "model"))
    kinds = (("a good film", "good"), ("a bad film", "bad"), ("it was fine", "so so"))
    rows = [f"{kinds[number % 3][0]} {number},{kinds[number % 3][1]}" for number in range(90)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows))
    info = json.loads((source / "bertloom.json").read_text())
    info["plan"]["data"]["source"] = str(tmp_path / "rows.csv")
    # the labels of the rows stand in another order than the model's: they cannot be compared
    (source / "bertloom.json").write_text(json.dumps(info))
    one, other = load_finished(source), load_onnx(exported())
    assert check_module.compare_rows(one, other, tmp_path / "cache") == {"why": "the data has other labels now"}
    (tmp_path / "rows.csv").unlink()
    assert "does not exist" in check_module.compare_rows(one, other, tmp_path / "cache")["why"]
    from core.data.tasks import task_for

    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows))
    order = ["bad", "good", "so so"]
    for finished in (one, other):
        finished.task = task_for(finished.task.config, order)
    monkeypatch.setattr(check_module, "_ROWS", 4)
    found = check_module.compare_rows(one, other, tmp_path / "cache")
    assert (found["role"], found["rows"], found["agreement"], found["answers"]) == ("test", 4, 1.0, 4)
    assert found["of"] > 4
    assert found["torch"] == found["onnx"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("cut", "cannot be read|does not run"), ("text", "cannot be read"), ("no side file", "nobody knows its task"),
        ("code", "brings its own code"), ("no tokenizer", "tokenizer.json"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_folder_is_refused(what: str, expected: str, copied: Path) -> None:
    file = copied / "model.onnx"
    if what == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif what == "text":
        file.write_text("this is no protobuf")
    elif what == "no side file":
        (copied / "bertloom.json").unlink()
    elif what == "code":
        (copied / "modeling.py").write_text("raise SystemExit")
    else:
        (copied / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=expected):
        load_finished(copied)


def test_a_graph_of_something_else_and_weights_elsewhere_are_refused(copied: Path) -> None:
    import onnx

    model = onnx.load(str(copied / "model.onnx"))
    weight = model.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    (copied / "model.onnx").write_bytes(model.SerializeToString())  # onnx itself would not write this
    with pytest.raises(ModelError, match="outside of its folder"):
        load_onnx(copied)
    entry.value = "gone.data"
    (copied / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="weights of the ONNX file are missing"):
        read_graph(copied)
    model.graph.input[0].name = "pixels"
    (copied / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="no encoder of texts"):
        read_graph(copied)


def test_it_is_no_encoder_to_train_and_no_source_of_an_export(exported: Exported, tmp_path: Path) -> None:
    from core.models.sources import resolve

    assert is_onnx(exported())
    with pytest.raises(ModelError, match="ONNX format"):
        resolve(str(exported()))
    with pytest.raises(ModelError, match="ONNX format"):
        export_model(exported(), tmp_path / "again")


def test_formats_and_models_that_cannot_be(trained: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format 'tflite'"):
        export_model(trained(), tmp_path / "export", format="tflite")


def test_a_full_disk_is_told_before_anything_is_written(
    trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    monkeypatch.setattr(export_module, "write_onnx", lambda *_: pytest.fail("wrote"))
    with pytest.raises(ExportError, match="nearly full"):
        export_model(trained(), tmp_path / "export", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_of_another_format_is_replaced_only_when_told(
    trained: Callable[..., Path], copied: Path
) -> None:
    with pytest.raises(ExportError, match="not empty"):
        export_model(trained(), copied)
    export_model(trained(), copied, overwrite=True)
    assert not is_onnx(copied)
    assert not (copied / "onnx.json").exists()


def test_onnxruntime_is_told_to_send_nothing() -> None:
    code = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from core.models.onnx_folder import runtime\n"
        "import sys; assert 'onnxruntime' not in sys.modules\n"
        "runtime(); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"
    # the reason why newer builds are not asked for: the one that is installed knows no address of a collector
    import onnxruntime

    library = next((Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*"))
    assert b"events.data.microsoft.com" not in library.read_bytes()


def test_models_are_measured_in_turns_each_in_a_process_of_its_own(exported: Exported, tmp_path: Path) -> None:
    told: list[str] = []
    found = bench_models(
        {"one": exported(), "other": exported("shaped_bert", "tagging"), "gone": tmp_path / "gone"}, batches=(1, 4),
        lengths=(8, 4096), seconds=0.03, threads=1, tell=lambda share, doing: told.append(doing),
    )  # fmt: skip
    one, other, gone = (found["models"][name] for name in ("one", "other", "gone"))
    assert [words.rpartition(" ")[2] for words in told if words.startswith("1 × 8")] == ["one", "other"] * 3
    assert one["parameters"] == read_about(exported())["parameters"] != other["parameters"]
    assert one["file_bytes"] == (exported() / "model.onnx").stat().st_size
    for each in (one, other):
        assert (each["format"], each["head"], each["left_out"]) == ("onnx", True, [4096])
        assert [(row["batch"], row["length"]) for row in each["timings"]] == [(1, 8), (4, 8)]
        assert all(0 < row["p50_ms"] <= row["p95_ms"] and row["passes"] >= 6 for row in each["timings"])
        assert each["timings"][1]["texts_per_s"] == pytest.approx(4e3 / each["timings"][1]["p50_ms"], rel=1e-2)
        assert 10 < each["libraries_mb"] < each["memory_mb"] < 150  # torch alone would take more
    assert "no such model folder" in gone["error"].what
    assert (found["threads"], found["machine"]["cores"]) == (1, os.cpu_count())


def test_a_process_that_dies_while_it_measures_is_told(exported: Exported) -> None:
    with Measured(exported(), threads=1) as measured:
        assert len(measured.time(1, 4, 0.0, 3)) == 3
        measured._process.kill()
        with pytest.raises(ModelError, match=r"died \(exit status -9\)"):
            measured.time(1, 4, 0.0, 3)


def test_a_report_measures_a_student_and_its_export_through_the_helper(
    exported: Exported, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    measure = StudentDesk.measure_now
    monkeypatch.setattr(
        StudentDesk, "measure_now", lambda self, run, *, seconds, **rest: measure(self, run, seconds=0.01, **rest)
    )
    home = Home(tmp_path / "home").ensure()
    run = _finished(home, source_of(trained))
    note_export(home.run(run), exported(), "onnx", 1.0)
    ran = CliRunner().invoke(app, ["distil", "report", run, "--bench", "--json"])
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout)
    (export,) = found["exports"]
    student, onnx = found["student"]["bench"], export["bench"]
    assert (student["format"], onnx["format"]) == ("safetensors", "onnx")
    assert student["parameters"] == onnx["parameters"] == found["student"]["parameters"]
    for one in (student, onnx):
        sizes = [(row["batch"], row["length"]) for row in one["timings"]]
        assert sizes == [(batch, length) for batch in (1, 32) for length in (16, 64)]
        assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in one["timings"])
    assert onnx["memory_mb"] < student["memory_mb"]  # of two processes, and one of them without torch
    assert found["teachers"][0]["bench"] is None  # its folder is gone, and the others are measured all the same
    assert (found["speed"]["threads"], found["speed"]["machine"]["cores"]) == (1, os.cpu_count())
    assert "the student pupil" in ran.stderr
    # the numbers are kept: the table of a later visit has them
    shown = CliRunner().invoke(app, ["distil", "report", run], env={"COLUMNS": "200"})
    median = next(row["p50_ms"] for row in onnx["timings"] if (row["batch"], row["length"]) == (1, 64))
    assert f"{median:.2f}" in next(line for line in shown.stdout.splitlines() if line.startswith("student as onnx"))


def _finished(home: Home, best: Path) -> str:
    """Leave a distilled run in the store that has finished with a model; its teacher's folder is gone."""
    stage = {"kind": "distil", "distil": {"teachers": [{"source": "/gone/best"}]}, "lr": 3e-4}
    plan = Plan.model_validate({"name": "pupil", "stages": [stage]})
    scores = {"metrics": {"test/accuracy": 0.5}, "details": {"test": {"n": 4, "intervals": {}}}}
    store, run = Store(home), "20260101-000000-pppp"
    store.runs.insert(
        NewRun(
            id=run, kind="train", name=plan.name, plan=plan.model_dump(mode="json"), tags=(), backend="process",
            now=True, submitter="test",
        )
    )  # fmt: skip
    store.claims.beat("test")
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(run, claim.token)
    shutil.copytree(best, home.run(run) / "best")
    teacher = {"source": "/gone/best", "name": "gone", "parameters": 900, **scores}
    (home.run(run) / "results.json").write_text(json.dumps({**scores, "teachers": [teacher]}))
    store.claims.end(run, claim.token, Status.FINISHED, metrics=scores["metrics"])
    store.close()
    return run
