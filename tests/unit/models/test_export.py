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

import pytest
import yaml

from core.config import load_plan
from core.errors import ExportError, ModelError, PathRefused
from core.models import export_model, load_finished, predict

RECORD: dict[str, Any] = {
    "id": "20260101-000000-abcd",
    "metrics": {"test/accuracy": 0.8123, "gate/accuracy": 0.79, "test/loss": float("nan")},
    "details": {
        "test": {
            "intervals": {"accuracy": [0.77, 0.85]}, "majority": 0.58, "majority_label": "good",
            "per_label": [
                {"label": "<script>|x", "precision": 0.5, "recall": 0.25, "f1": 0.3333, "support": 4,
                 "interval": [0.1, 0.6]}
            ],
        }
    },
    "data_report": {"roles": {"train": {"rows": 1600}, "test": {"rows": 200}},
                    "labels": [{"label": "good", "count": 9, "share": 0.9}]},
    "environment": {"platform": "Linux", "versions": {"torch": "2.13.0"}},
    "choices": {"precision": "fp32", "threads": 2},
}  # fmt: skip


def snippet_of(folder: Path) -> str:
    card = (folder / "README.md").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert match is not None
    assert len(match.group(1).strip().splitlines()) <= 12
    return match.group(1)


@pytest.fixture
def run_snippet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """Execute the card's lines as they stand, in the exported folder."""

    def run(folder: Path) -> str:
        code = snippet_of(folder)
        imported = set(re.findall(r"^(?:from|import) ([\w, ]+?)(?: import|$)", code, re.MULTILINE))
        assert imported <= {"torch", "transformers", "re, torch"}
        monkeypatch.chdir(folder)
        capsys.readouterr()
        exec(compile(code, "README.md", "exec"), {})
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_the_snippet_runs_in_a_process_that_knows_no_bertloom(trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = export_model(trained("bert"), tmp_path / "export")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    code = f"import sys; sys.modules['core'] = None\n{snippet_of(folder)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A text to classify. {'good':")


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_snippet_of_a_classifier_answers_as_we_do(
    trained: Callable[..., Path], run_snippet: Callable[[Path], str], tmp_path: Path, family: str
) -> None:
    folder = export_model(trained(family), tmp_path / "export")
    printed = run_snippet(folder).strip().splitlines()
    for line, prediction in zip(printed, predict(folder, ["A text to classify.", "Another one."]), strict=True):
        assert line.startswith(prediction.text)
        shares = json.loads(line.removeprefix(prediction.text).strip().replace("'", '"'))
        assert shares == pytest.approx(prediction.scores, abs=2e-4)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_snippet_of_a_tagger_answers_as_we_do(
    trained: Callable[..., Path], run_snippet: Callable[[Path], str], tmp_path: Path, family: str
) -> None:
    folder = export_model(trained(family, "tagging"), tmp_path / "export")
    (prediction,) = predict(folder, ["Anna lives in Paris."])
    assert run_snippet(folder).strip() == str(list(zip(prediction.words or [], prediction.label, strict=True)))


def test_the_snippet_of_several_labels_gives_each_its_own_share(
    trained: Callable[..., Path], run_snippet: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = export_model(trained("bert", multi_label=True), tmp_path / "export")
    first = run_snippet(folder).strip().splitlines()[0].removeprefix("A text to classify.").strip()
    (prediction,) = predict(folder, ["A text to classify."])
    assert json.loads(first.replace("'", '"')) == pytest.approx(prediction.scores, abs=2e-4)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_snippet_of_a_model_of_pairs_answers_as_we_do(
    trained: Callable[..., Path], run_snippet: Callable[[Path], str], tmp_path: Path, family: str
) -> None:
    record = {"data_report": {"sources": {"train": {"mapping": {"text": "a", "text_pair": "b", "label": "y"}}}}}
    folder = export_model(trained(family), tmp_path / "export", record=record)
    pairs = [["A first text.", "Its second one."], ["Another first text.", "Another second one."]]
    printed = run_snippet(folder).strip().splitlines()
    for line, pair, prediction in zip(printed, pairs, predict(folder, pairs), strict=True):
        shares = json.loads(line.removeprefix(str(tuple(pair))).strip().replace("'", '"'))
        assert shares == pytest.approx(prediction.scores, abs=2e-4)
    assert "pairs of texts" in (folder / "README.md").read_text()


def test_an_export_has_all_its_parts(trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = export_model(trained("bert"), tmp_path / "new" / "export", record=RECORD)
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "bertloom.json", "config.json", "model.safetensors", "plan.yaml", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert load_plan(folder / "plan.yaml").name == "A <b>name</b> | of a run"
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "good", "1": "bad", "2": "so so"}
    assert load_finished(folder).info["metrics"]["test/accuracy"] == 0.8123


def test_the_card_shows_scores_with_intervals_data_and_environment(
    trained: Callable[..., Path], tmp_path: Path
) -> None:
    card = (export_model(trained("bert"), tmp_path / "export", record=RECORD) / "README.md").read_text()
    assert "| test | accuracy | 0.8123 | 0.7700 – 0.8500 |" in card
    assert "| train | 1600 |" in card
    assert "| torch | 2.13.0 |" in card
    assert "| precision | fp32 |" in card
    assert "run `20260101-000000-abcd`" in card
    assert "accuracy of 0.5800" in card
    head = yaml.safe_load(card.split("---")[1])
    assert head == {"library_name": "transformers", "pipeline_tag": "text-classification", "tags": ["bertloom"]}


def test_the_card_of_a_tagger_names_its_baseline(trained: Callable[..., Path], tmp_path: Path) -> None:
    record = {"metrics": {"test/strict_f1": 0.6}, "details": {"test": {"baseline": {"strict_f1": 0.41}}}}
    card = (export_model(trained("bert", "tagging"), tmp_path / "export", record=record) / "README.md").read_text()
    assert "most frequent training tag has on `test`: strict_f1 0.4100." in card


def test_names_and_labels_cannot_break_the_card(trained: Callable[..., Path], tmp_path: Path) -> None:
    card = (export_model(trained("bert"), tmp_path / "export", record=RECORD) / "README.md").read_text()
    assert "<script>" not in card
    assert r"| &lt;script&gt;\|x | 0.5000 |" in card
    assert r"# A &lt;b&gt;name&lt;/b&gt; \| of a run" in card


def test_without_a_record_the_run_folder_is_read(trained: Callable[..., Path], tmp_path: Path) -> None:
    run = tmp_path / "20260101-000000-abcd"
    shutil.copytree(trained("bert"), run / "best")
    results = {key: RECORD[key] for key in ("metrics", "details", "environment", "choices")}
    (run / "results.json").write_text(json.dumps(results))
    (run / "data_report.json").write_text(json.dumps(RECORD["data_report"]))
    card = (export_model(run / "best", tmp_path / "export") / "README.md").read_text()
    assert "| test | accuracy | 0.8123 | 0.7700 – 0.8500 |" in card
    assert "| train | 1600 |" in card
    again = export_model(tmp_path / "export", tmp_path / "second")
    assert (again / "README.md").read_text() == card


def test_damaged_results_do_not_stop_an_export(trained: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copytree(trained("bert"), tmp_path / "run" / "best")
    (tmp_path / "run" / "results.json").write_text("{")
    card = (export_model(tmp_path / "run" / "best", tmp_path / "export") / "README.md").read_text()
    assert "| gate | accuracy | 0.5000 |" in card


def test_a_file_is_no_target(trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="is a file"):
        export_model(trained("bert"), tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_below_a_file_is_refused(trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError):
        export_model(trained("bert"), tmp_path / "file" / "export")


def test_an_empty_folder_is_a_target(trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert load_finished(export_model(trained("bert"), tmp_path / "empty")).task.kind == "classification"


def test_an_earlier_export_is_replaced_only_when_told(trained: Callable[..., Path], tmp_path: Path) -> None:
    target = export_model(trained("bert"), tmp_path / "export")
    with pytest.raises(ExportError, match="not empty"):
        export_model(trained("bert", "tagging"), target)
    assert load_finished(target).task.kind == "classification"
    export_model(trained("bert", "tagging"), target, overwrite=True)
    assert load_finished(target).task.kind == "tagging"


@pytest.mark.parametrize("name", ["thesis.docx", "photos", "notes.txt"])
def test_a_folder_with_other_things_is_never_replaced(trained: Callable[..., Path], tmp_path: Path, name: str) -> None:
    target = tmp_path / "home"
    target.mkdir()
    mine = target / name
    if "." in name:
        mine.write_text("mine")
    else:
        mine.mkdir()
    with pytest.raises(ExportError, match="other things"):
        export_model(trained("bert"), target, overwrite=True)
    assert mine.exists()


def test_the_models_own_folder_is_no_target(trained: Callable[..., Path]) -> None:
    for target in (trained("bert"), trained("bert") / "inside", trained("bert").parent):
        with pytest.raises(ExportError, match="own folder"):
            export_model(trained("bert"), target, overwrite=True)
    assert load_finished(trained("bert")).info


def test_a_target_may_not_leave_its_root(trained: Callable[..., Path], tmp_path: Path) -> None:
    root = tmp_path / "exports"
    root.mkdir()
    assert export_model(trained("bert"), "one", root=root) == root / "one"
    for target in ("../out", "/tmp/out-of-root", "a/../../out"):
        with pytest.raises(PathRefused):
            export_model(trained("bert"), target, root=root)


def test_a_full_disk_leaves_nothing_behind(
    trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ExportError, match="No space left"):
        export_model(trained("bert"), tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_refused(
    trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    source = trained("bert")
    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(ExportError, match="Permission denied"):
        export_model(source, tmp_path / "export")


def test_an_encoder_is_not_exported_as_a_model(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model that a run trained"):
        export_model(encoder("bert"), tmp_path / "export")


def test_links_in_the_source_are_not_followed(trained: Callable[..., Path], tmp_path: Path) -> None:
    source = Path(shutil.copytree(trained("bert"), tmp_path / "model"))
    (tmp_path / "secret.json").write_text('"secret"')
    (source / "notes.json").symlink_to(tmp_path / "secret.json")
    assert not (export_model(source, tmp_path / "export") / "notes.json").exists()
