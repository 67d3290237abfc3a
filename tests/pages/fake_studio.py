"""A Studio in memory for page tests: it answers like the real one, at once or when a test lets it."""

from __future__ import annotations

import importlib
import math
import pkgutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pages.ui
from core.config import Plan
from core.config.joint import JointPlan
from core.errors import ConfigError
from core.settings import Home
from tests.pages.fake_graphs import FakeGraphs
from tests.pages.fake_models import BUNDLED, FakeModels
from tests.pages.fake_runs import FakeRuns

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


class FakeStudio:
    """Runs, presets, data and models in memory. `asked` records the long questions; `gate` can hold them back."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root).ensure()
        self.problem: str | None = None
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.data = _Data(self)
        self.models = FakeModels(self)
        self.runs = FakeRuns(self.home)
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
