"""A Studio in memory for page tests: it answers like the real one, at once or when a test lets it."""

from __future__ import annotations

import importlib
import itertools
import math
import pkgutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pages.ui
from core.config import Plan, RunConfig, config_from_dict
from core.config.joint import JointPlan
from core.errors import ConfigError, ModelError, RunError, RunNotFound
from core.models.layers import kept_layers
from core.runs.alike import RunVerdicts, judge_runs
from core.runs.records import RunRecord, SeriesBatch, Status
from core.settings import Home
from tests.pages.fake_graphs import FakeGraphs

SAMPLES: list[dict[str, Any]] = [
    {
        "name": "reviews", "title": "Film review snippets", "language": "en", "tasks": ["classification"],
        "rows": 12739,
        "licence": "Apache-2.0", "about": "Sentences from film reviews, labelled fresh or rotten.", "available": True,
    },
    {
        "name": "plots", "title": "Film plots", "language": "en", "tasks": [], "rows": 1097, "licence": "Apache-2.0",
        "about": "Plain text.", "available": True,
    },
    {
        "name": "tweets", "title": "Tweets with names", "language": "en", "tasks": ["tagging"], "rows": 2394,
        "licence": "MIT", "about": "Short messages with ten types of names, tagged by hand.", "available": True,
    },
    {
        "name": "zh-reviews", "title": "Chinese product reviews", "language": "zh", "tasks": ["classification"],
        "rows": 35000, "licence": "MIT", "about": "Positive and negative reviews in Chinese.", "available": True,
    },
]  # fmt: skip

BUNDLED: dict[str, Any] = {
    "source": "bundled", "title": "all-MiniLM-L6-v2", "family": "bert", "layers": 6, "hidden_size": 384, "heads": 12,
    "intermediate_size": 1536, "vocab_size": 30522, "parameters": 22_700_000, "max_length": 512, "bytes": 90_900_000,
    "language_hint": "Latin script", "warnings": [], "layer_parameters": [1_774_464] * 6,
}  # fmt: skip

REPORT: dict[str, Any] = {
    "ok": True,
    "findings": [
        {"level": "note", "message": "2,000 of 12,739 rows are read.", "where": None, "advice": None},
        {"level": "warning", "message": "38 % of the pieces are unknown.", "where": "text",
         "advice": "Choose an encoder for Chinese."},
    ],
    "balance": {"train": {"fresh": 1160, "rotten": 840}, "gate": {"fresh": 725, "rotten": 525}},
    "lengths": {
        "unit": "sub-words", "max_length": 32,
        "histogram": {"edges": [0, 8, 16, 24, 32, 240], "counts": [120, 480, 800, 420, 180]},
    },
}  # fmt: skip


def pruning_report(source: str, out: str) -> dict[str, Any]:
    """Return what a folder says that kept half of the bundled encoder's heads and units."""
    return {
        "source": source, "revision": None, "out": out, "trained": False, "measure": "energy", "spread": "layer",
        "shares": {"heads": 0.5, "units": 0.5}, "rows": {"calibration": 256, "test": 512, "of": 1275},
        "parameters": {"before": 22_713_216, "after": 17_396_736}, "body": {"before": 10_646_784, "after": 5_330_304},
        "seconds": {"before": 1.2, "after": 0.6, "ratio": 0.5}, "lost": {"similarity": 0.739},
        "layers": [{"width": 384, "heads": 6, "intermediate": 768}] * 6,
        "heads": [[{"score": 1 - at / 12, "kept": at < 6} for at in range(12)]] * 6,
    }  # fmt: skip


class FakeStudio:
    """Runs, presets, data and models in memory. `asked` records the long questions; `gate` can hold them back."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root).ensure()
        self.problem: str | None = None
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.data = _Data(self)
        self.models = _Models(self)
        self.runs = _Runs(self.home)
        self.presets = _Presets()
        self.joint = _Joint(self)
        self.graphs = FakeGraphs(ready=False)

    def slow(self, what: str) -> None:
        """Record a question and wait until the test opens the gate."""
        self.asked.append(what)
        self.gate.wait(60)

    def steps(self, plan: Plan) -> dict[str, Any]:
        self.slow("steps")
        rows = plan.data.train_rows or 2000
        stages = []
        for index, stage in enumerate(plan.stages):
            per_epoch = math.ceil(rows / stage.batch_size)
            total = stage.steps or max(1, math.ceil(rows / stage.batch_size * (stage.epochs or 1)))
            one = {"name": stage.name, "kind": stage.kind, "index": index, "steps": total, "steps_per_epoch": per_epoch}
            if stage.enabled:
                stages.append({**one, "epochs": total / per_epoch, "epoch_ends": [total], "upper": False})
        return {
            "steps": sum(one["steps"] for one in stages), "stages": stages, "upper": False, "labels": 2,
            "label_names": ["fresh", "rotten"], "answers": {"units": rows, "classes": 2},
            "rows": {"train": rows, "gate": 250, "test": 251},
        }  # fmt: skip

    def curve(self, plan: Plan, steps: int) -> dict[str, Any]:
        stage = plan.stages[0]
        warm = max(1, round(steps * stage.schedule.warmup)) if stage.schedule.warmup < 1 else int(stage.schedule.warmup)
        xs = list(range(1, steps + 1))
        shape = [min(x / warm, (steps - x) / max(1, steps - warm)) for x in xs]
        head = stage.head_lr or stage.lr
        return {
            "encoder": {"steps": xs, "lr": [0.0 if stage.freeze_encoder else stage.lr * y for y in shape]},
            "head": {"steps": xs, "lr": [head * y for y in shape]},
        }

    def check_plan(self, plan: Plan) -> dict[str, Any]:
        self.slow("check_plan")
        last = len(plan.stages) - 1
        return {
            "findings": [
                {
                    "level": "warning", "key": f"stages.{last}.lr",
                    "message": "The first steps replace what was learnt.",
                    "advice": "Lower the rate.",
                },
                {"level": "note", "key": f"stages.{last}.lr_cap", "message": "It has no effect.", "advice": None},
            ]
        }  # fmt: skip

    def plan_curve(self, plan: Plan, steps: Any, *, points: int | None = 400) -> dict[str, Any]:
        from core.training.curves import plan_curve

        return plan_curve(plan, steps, BUNDLED["layers"], points=points)

    def estimate(self, plan: Plan) -> dict[str, Any]:
        self.slow("estimate")
        return {
            **self.steps(plan), "seconds": 95.0, "seconds_low": 80.0, "seconds_high": 118.0, "memory_mb": 910,
            "trainable_parameters": 22_713_218, "parameters": 22_713_218, "cut_share": 0.012,
            "choices": {"precision": "bf16", "threads": 2}, "lr": {},
            "stages": [
                {
                    "name": stage.name, "steps": 63, "seconds": 40.0, "seconds_low": 35.0, "seconds_high": 50.0,
                    "memory_mb": 910, "trainable_parameters": 22_713_218,
                }
                for stage in plan.active
            ],
        }  # fmt: skip


class _Joint:
    """Joint plans; `findings` is what their check says."""

    def __init__(self, studio: FakeStudio) -> None:
        self._studio = studio
        self.findings: list[dict[str, Any]] = []

    def check(self, plan: JointPlan) -> dict[str, Any]:
        from core.training.joint.schedule import Schedule

        self._studio.slow("joint")
        rows = [task.data.train_rows or 1000 for task in plan.tasks]
        lengths = [np.full(size, 20, dtype=np.int64) for size in rows]
        schedule = Schedule(lengths, plan.stage(), 0, alpha=plan.mixing.alpha, together=plan.mixing.pcgrad)
        turns = schedule.done(schedule.steps)
        tasks = [
            {
                "name": task.name, "rows": {"train": size, "gate": 100, "test": 100}, "steps": turn,
                "share": turn / sum(turns), "examples": size, "cut_share": 0.0, "labels": 2,
                "label_names": ["fresh", "rotten"], "answers": {"units": size, "classes": 2, "numbers": 2 * size},
            }
            for task, size, turn in zip(plan.tasks, rows, turns, strict=True)
        ]  # fmt: skip
        return {
            "findings": self.findings, "steps": schedule.steps, "round": schedule.round_steps(0), "tasks": tasks,
        }  # fmt: skip

    def estimate(self, plan: JointPlan, counted: dict[str, Any]) -> dict[str, Any]:
        self._studio.slow("joint estimate")
        tasks = [{"name": one["name"], "steps": one["steps"], "seconds": 30.0} for one in counted["tasks"]]
        return {
            "seconds": 60.0, "seconds_low": 50.0, "seconds_high": 75.0, "memory_mb": 900.0, "steps": counted["steps"],
            "tasks": tasks,
        }  # fmt: skip


class _Data:
    def __init__(self, studio: FakeStudio) -> None:
        self._studio = studio
        self.saved: list[tuple[str, bytes]] = []

    def samples(self) -> list[dict[str, Any]]:
        return SAMPLES

    def preview(self, data: Any, task: Any, rows: int = 20) -> dict[str, Any]:
        self._studio.slow("preview")
        if data.source.startswith("zh"):
            table = [{"text": "这家酒店的服务很好，房间也很干净", "label": "pos"}]
        elif task.kind == "tagging":
            table = [{"tokens": ["Anna", "is", "in", "<b>Rome</b>"], "tags": ["B-person", "O", "O", "B-geo-loc"]}]
        else:
            table = [
                {"text": "<script>alert(1)</script> A film that trusts its audience.", "label": "fresh"},
                {"text": "Two hours that feel like four.", "label": "rotten"},
            ]
        columns = list(table[0])
        return {
            "columns": columns, "rows": table, "format": "csv", "encoding": "utf-8", "problems": [],
            "mapping": {name: name for name in columns},
        }  # fmt: skip

    def gazetteer(self, task: Any) -> dict[str, Any]:
        self._studio.slow("gazetteer")
        from core.data.gazetteer import gazetteer_facts

        return gazetteer_facts(task)

    def check(self, data: Any, task: Any, model: Any) -> dict[str, Any]:
        self._studio.slow("check")
        return REPORT

    def save_upload(self, name: str, content: bytes) -> Path:
        self.saved.append((name, content))
        path = self._studio.home.uploads / Path(name).name
        path.write_bytes(content)
        return path

    def uploads(self) -> list[dict[str, Any]]:
        return [
            {"name": path.name, "path": str(path), "bytes": path.stat().st_size, "time": path.stat().st_mtime}
            for path in sorted(self._studio.home.uploads.iterdir())
        ]


class _Models:
    """The bundled encoder, one of another family, and folders that were made from the bundled one."""

    def __init__(self, studio: FakeStudio) -> None:
        self._studio = studio
        self.made: dict[str, tuple[str, dict[str, Any]]] = {}
        self.refusal: Exception | None = None
        self.wanted: list[dict[str, Any]] = []
        #: What teachers say of themselves, by their source.
        self.taught: dict[str, dict[str, Any]] = {}

    def teach(self, name: str, *, labels: Sequence[str] = ("fresh", "rotten"), **values: Any) -> str:
        """Put a finished run that can teach into the store; returns its folder."""
        record = self._studio.runs.add(name, has_model=True, metrics={"test/accuracy": 0.786})
        source = str(self._studio.home.run(record.id) / "best")
        self.taught[source] = {
            **BUNDLED, "source": source, "title": f"{record.id}/best", "labels": list(labels), "reads": 128,
            "task": {"kind": "classification", "multi_label": False}, "vocabulary": "same", "run": record.id,
            "folder": source,
            "layer_parameters": [1_774_464] * 6, **values,
        }  # fmt: skip
        return source

    def trained(self, source: str, revision: str | None = None) -> dict[str, Any]:
        if source not in self.taught:
            raise ModelError("There is no such model folder.", where=source)
        return self.taught[source]

    def alike_layers(self, source: str, keep: int, data: Any, task: Any, max_length: int) -> dict[str, Any]:
        self._studio.slow("alike_layers")
        return {"keep": [*range(1, keep), 6], "layers": 6}

    def match_layers(self, plan: Any, index: int) -> dict[str, Any]:
        self._studio.slow("match_layers")
        assert plan.active[index].kind == "distil"
        likeness = [[0.5] * 6 for _ in range(6)]
        likeness[0][3], likeness[1][5] = 0.9, None
        return {"pairs": [[1, 4], [2, 6]], "likeness": likeness, "tokens": 4090}

    def vocabulary(self, source: str) -> str | None:
        return "same"

    def teachers(self, task: Any) -> list[dict[str, Any]]:
        found = []
        for source, one in reversed(self.taught.items()):
            if one["task"]["kind"] == task.kind:
                record = self._studio.runs.get(one["run"])
                score = {"role": "test", "metric": "accuracy", "value": record.metrics["test/accuracy"]}
                found.append(
                    {"source": source, "title": record.name, "run": record.id, "labels": one["labels"], "score": score}
                )
        return found

    def list(self) -> list[dict[str, Any]]:
        return [BUNDLED, *(self.describe(source) for source in self.made)]

    def describe(self, source: str, revision: str | None = None) -> dict[str, Any]:
        if source in self.made:
            return {**BUNDLED, "source": source, "title": Path(source).name, "origin": self.made[source][0]}
        if source in self.taught:
            return self.taught[source]
        if source == "distil":
            return {**BUNDLED, "source": source, "title": source, "family": "distilbert"}
        if source != "bundled":
            raise ConfigError("There is no model here.", where=source)
        return BUNDLED

    def shape(self, source: str) -> dict[str, Any]:
        if source == "distil":
            raise ModelError("The shape of a model of family 'distilbert' is not known.", where=source)
        layer = {"width": 384, "heads": 12, "intermediate": 1536, "head_size": 32, "parameters": 1_774_464}
        return {"layers": [layer] * BUNDLED["layers"], "mode": "bus", "parameters": BUNDLED["parameters"]}

    def origin(self, source: str) -> tuple[str, dict[str, Any]] | None:
        return self.made.get(source)

    def prune(self, source: str, out: Path, *, cancel: threading.Event, tell: Any, **wanted: Any) -> dict[str, Any]:
        self.wanted.append(wanted)
        tell(0.4, "measuring heads and units")
        self._studio.slow("prune")
        if cancel.is_set():
            raise RunError("The request 'prune' was cancelled.")
        if self.refusal is not None:
            raise self.refusal
        report = pruning_report(source, str(out))
        out.mkdir(parents=True)
        self.made[str(out)] = ("pruned", report)
        return report

    def new(self, shape: Any, out: Path, *, tokenizer: str, seed: int = 0) -> Path:
        self._studio.slow("new")
        self.wanted.append({"shape": shape, "seed": seed})
        out.mkdir(parents=True)
        self.made[str(out)] = ("random", {"seed": seed, "tokenizer": tokenizer})
        return out

    def parameters(
        self, source: str, revision: str | None, task: Any, labels: int, keep_layers: Any = None
    ) -> dict[str, Any]:
        names = ["bert.embeddings.word_embeddings.weight"]
        units, sizes, dimensions = ["embeddings"], [11_720_448], [2]
        for layer in range(len(kept_layers(keep_layers, BUNDLED["layers"]))):
            names += [f"bert.encoder.layer.{layer}.attention.weight", f"bert.encoder.layer.{layer}.output.bias"]
            units += [f"layer {layer}"] * 2
            sizes += [1_774_000, 464]
            dimensions += [2, 1]
        return {
            "layers": len(units) // 2, "names": [*names, "classifier.weight"], "units": [*units, "head"],
            "sizes": [*sizes, 384 * labels], "dimensions": [*dimensions, 2],
        }  # fmt: skip


class _Presets:
    def __init__(self) -> None:
        self.kept: dict[str, Plan] = {}

    def list(self) -> list[str]:
        return sorted(self.kept)

    def load(self, name: str) -> Plan:
        if name not in self.kept:
            raise ConfigError(f"There is no preset {name!r}.")
        return self.kept[name]

    def save(self, name: str, plan: Plan, overwrite: bool = False) -> None:
        if name in self.kept and not overwrite:
            raise ConfigError(f"There is a preset {name!r} already.")
        self.kept[name] = plan

    def delete(self, name: str) -> None:
        del self.kept[name]


class _Runs:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.records: dict[str, RunRecord] = {}
        self.points: dict[str, dict[str, tuple[list[int], list[float | None]]]] = {}
        self.requests: dict[str, str] = {}
        self.submitted: list[Plan] = []
        self.parents: list[str | None] = []
        self.estimates: list[dict[str, Any] | None] = []
        self.accuracy: dict[str, Any] = {"count": 0, "seconds_error": None, "memory_error": None, "runs": []}
        self.asked: list[tuple[str, ...]] = []
        self.series_reads = 0
        self.left: dict[str, dict[str, Any]] = {}
        self._number = itertools.count(1)

    def add(self, name: str, status: Status = Status.FINISHED, **values: Any) -> RunRecord:
        """Put a run into the store."""
        number = next(self._number)
        plan = values.pop("plan", None) or Plan(name=name)
        record = RunRecord(
            id=f"20261122-1415{number:02d}-a{number:03d}", kind=values.pop("kind", "train"), name=name, status=status,
            plan=plan.model_dump(mode="json"), tags=values.pop("tags", tuple(plan.tags)),
            created=time.time() - 60 * (100 - number), started=None, ended=None, seconds=values.pop("seconds", 42.0),
            position=values.pop("position", None), backend="process", pid=None, heartbeat=None, **values,
        )  # fmt: skip
        self.records[record.id] = record
        return record

    def submit(
        self, plan: Plan, *, request_id: str | None = None, now: bool = False, parent: str | None = None,
        estimate: dict[str, Any] | None = None, kind: str = "train", **_: Any,
    ) -> str:  # fmt: skip
        if request_id in self.requests:
            return self.requests[request_id]
        record = self.add(plan.name, Status.QUEUED, plan=plan, kind=kind)
        self.submitted.append(plan)
        self.parents.append(parent)
        self.estimates.append(estimate)
        if request_id:
            self.requests[request_id] = record.id
        return record.id

    def estimate_accuracy(self) -> dict[str, Any]:
        return self.accuracy

    def get(self, run_id: str) -> RunRecord:
        if run_id not in self.records:
            raise RunNotFound(f"There is no run {run_id!r}.")
        return self.records[run_id]

    find = get

    def list(
        self, status: Any = None, tag: str | None = None, search: str | None = None, limit: int = 500
    ) -> list[RunRecord]:
        kept = list(self.records.values())
        if status is not None:
            wanted = [str(item) for item in ([status] if isinstance(status, str) else status)]
            kept = [run for run in kept if str(run.status) in wanted]
        if tag:
            kept = [run for run in kept if tag in run.tags]
        if search:
            kept = [run for run in kept if search.lower() in f"{run.id} {run.name} {' '.join(run.tags)}".lower()]
        return sorted(kept, key=lambda run: -run.created)[:limit]

    def plan(self, run_id: str) -> Plan:
        return Plan.model_validate(self.get(run_id).plan)

    def config(self, run_id: str) -> RunConfig:
        record = self.get(run_id)
        return config_from_dict(record.kind, record.plan, where=run_id)

    def model_folder(self, run_id: str) -> Path:
        return self.home.run(self.get(run_id).id) / "best"

    def results(self, run_id: str) -> dict[str, Any] | None:
        return self.left.get(self.get(run_id).id)

    def verdicts(self, runs: Sequence[str], **wanted: Any) -> RunVerdicts:
        self.asked.append(("verdicts", *runs))
        return judge_runs([self.get(run_id) for run_id in runs], self.results, **wanted)

    def events(self, run_id: str, after: int = 0) -> Sequence[Any]:
        return []

    def series_names(self, run_id: str) -> list[str]:
        return sorted(self.points.get(run_id, {}))

    def series(
        self, run_id: str, after: int = 0, names: Sequence[str] | None = None, max_points: int = 1000
    ) -> SeriesBatch:
        self.series_reads += 1
        kept = {
            name: {"steps": steps, "values": values, "times": [1000.0 + step for step in steps]}
            for name, (steps, values) in self.points.get(run_id, {}).items()
            if names is None or name in names
        }
        return SeriesBatch(1, kept)

    def delete(self, run_id: str, *, keep_children: bool = False) -> None:
        if self.get(run_id).status.active:
            raise RunError("A worker belongs to this run.", advice="Cancel it first.")
        self.asked.append(("delete", run_id))
        del self.records[run_id]

    def move(self, run_id: str, where: str) -> None:
        self.asked.append(("move", run_id, where))

    def _set(self, run_id: str, what: str, status: Status) -> None:
        self.asked.append((what, run_id))
        self.records[run_id] = replace(self.get(run_id), status=status)

    def resume(self, run_id: str, *, now: bool = False) -> None:
        self._set(run_id, "resume", Status.QUEUED)

    def cancel(self, run_id: str) -> None:
        self._set(run_id, "cancel", Status.CANCELLED)

    def pause(self, run_id: str) -> None:
        self._set(run_id, "pause", Status.PAUSED)

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        self.records[run_id] = replace(self.get(run_id), tags=tuple(tags))

    def disk(self) -> dict[str, Any]:
        runs = [
            {"id": run.id, "name": run.name, "bytes": 360_000_000, "checkpoints": 270_000_000, "best": 90_000_000}
            for run in self.records.values()
        ]
        return {
            "runs": runs,
            "cache": 120_000_000,
            "total": 120_000_000 + 360_000_000 * len(runs),
            "free": 8_000_000_000,
        }

    def free_space(self, checkpoints: bool = True, cache: bool = True, models: bool = False) -> int:
        self.asked.append(("free", str(checkpoints), str(cache), str(models)))
        return 390_000_000


def install(monkeypatch: Any, studio: FakeStudio) -> Callable[[], FakeStudio]:
    """Let the pages find this studio."""
    # All are loaded before the first is changed: one that is loaded later would bind this studio for good.
    real = importlib.import_module("pages.ui.studio").studio
    names = [found.name for found in pkgutil.walk_packages(pages.ui.__path__, "pages.ui.")]
    modules = [importlib.import_module(name) for name in names if name != "pages.ui.router"]  # that one is a script
    for module in modules:
        if getattr(module, "studio", None) is real:
            monkeypatch.setattr(module, "studio", lambda: studio)
    monkeypatch.setenv("BERTLOOM_HOME", str(studio.home.root))
    return lambda: studio
