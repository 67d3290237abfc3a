"""The models' desk of a Studio in memory: the bundled encoder, teachers, and folders that were made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, ModelError, RunError
from core.models.layers import kept_layers

if TYPE_CHECKING:
    from tests.pages.fake_studio import FakeStudio

BUNDLED: dict[str, Any] = {
    "source": "bundled", "title": "all-MiniLM-L6-v2", "family": "bert", "layers": 6, "hidden_size": 384, "heads": 12,
    "intermediate_size": 1536, "vocab_size": 30522, "parameters": 22_700_000, "max_length": 512, "bytes": 90_900_000,
    "language_hint": "Latin script", "warnings": [], "layer_parameters": [1_774_464] * 6,
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


class FakeModels:
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
