"""A desk of structure searches in memory; the real view reads what it shows from records as a worker writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import ModelConfig, Plan
from core.config.distil import DistilConfig
from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.errors import ConfigError, RunError
from core.models.shaped import count
from core.runs.records import Status
from core.search.structure.records import Candidate, Rung, SearchRecord, key_of
from core.search.structure.view import view
from tests.pages.fake_studio import FakeStudio

__all__ = ["FakeStructures", "candidate", "write_search"]

_WIDTHS = ([320, 256, 320], [256, 256, 256], [352, 192, 256], [384, 224, 256], [224, 256, 352], [256, 224, 288])
_SOURCES = ("prior", "uniform", "prior", "random", "prior", "hand")


def candidate(order: int, *, ranked: bool = True) -> Candidate:
    """Return a candidate that was ranked, but not trained."""
    widths, source = _WIDTHS[order % len(_WIDTHS)], _SOURCES[order % len(_SOURCES)]
    shape = EncoderShape.of_widths(widths, head_size=32, embedding=384, readout=True)
    segments = [(0, 0), (3, 4), (5, 5)]
    cost = count(shape)
    return Candidate(
        key=key_of(shape, segments), order=order, source=source, label=source, depth=3, widths=widths,
        units=[one.intermediate for one in shape.layers], shape=shape.model_dump(mode="json"), segments=segments,
        parameters=cost.body, total=cost.total, flops=cost.flops(64), rank=order + 1 if ranked else None,
        rank_loss=1.0 + 0.05 * order if ranked else None, rank_seconds=2.0 if ranked else None,
    )  # fmt: skip


def write_search(folder: Path, *, number: int = 6, rungs: int = 2, ended: bool = True) -> list[Candidate]:
    """Write what a search keeps: `number` candidates, of which 4 and then 2 were trained, one of them diverged.

    Parameters
    ----------
    folder
        The run's folder.
    number
        Candidates.
    rungs
        How many rungs are over.
    ended
        Whether all is done; before, one more candidate waits.
    """
    found = [candidate(order) for order in range(number)]
    entered = [[one.key for one in found[:4]], [one.key for one in found[:2]]][:rungs]
    for rung, keys in enumerate(entered):
        for place, one in enumerate(one for one in found if one.key in keys):
            before = one.loss or one.rank_loss or 1.0
            loss = 0.8 - 0.2 * rung + 0.03 * place
            curve = [(40 * rung + 20, before - 0.1), (40 * rung + 40, loss)]
            one.rungs.append(Rung(rung, 40 * (rung + 1), before, loss, 3.0, curve))
            one.latency = {"p50": 2.5 + 0.2 * place, "p95": 4.0}
            one.run = f"child-{one.order}"
    if rungs > 1:
        found[0].score, found[0].metric, found[0].finetune_run = 0.81, "accuracy", "tuned-0"
    if not ended:
        found.append(replace(candidate(number, ranked=False), key="waits", widths=[384, 384, 96]))
    front = [found[0].key] if rungs else []
    parent = {
        "source": "bundled", "layers": 6, "width": 384, "head_size": 32, "ratio": 4.0, "parameters": 22_713_216,
        "body": 10_646_784, "flops": 10**9,
    }  # fmt: skip
    record = SearchRecord(
        key="k", parent=parent, budget={"parameters": 5_323_392, "tolerance": 0.03, "latency_ms": 3.0},
        wanted=len(found), sampler="prior", depths={"3": []}, objectives=["parameters", "latency", "loss"],
        reference={"parameters": 1.0, "latency": 9.0, "loss": 2.0}, order=[one.key for one in found], rungs=entered,
        kept=[found[1].key] if rungs else [], front=front, hypervolume=0.31 if rungs else None,
        history=[
            {
                "step": 6 + at, "phase": f"rung {at + 1}", "hypervolume": 0.2 + 0.1 * at, "best_loss": 0.8,
                "front": front, "objectives": ["parameters"],
            }
            for at in range(rungs)
        ],
        phase="front" if ended else "ranking", seconds={"ranking": 12.0, "rung 1": 30.0},
        notices=["The corpus was cut to 800 sentences."], ended=ended,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        one.write(folder)
    record.write(folder)
    return found


class FakeStructures:
    """Searches by id; `refused` is what the check says."""

    def __init__(self, studio: FakeStudio) -> None:
        self._studio = studio
        self.configs: dict[str, StructureConfig] = {}
        self.submitted: list[StructureConfig] = []
        self.refused: ConfigError | None = None
        self.asked: list[tuple[Any, ...]] = []

    def add(self, status: Status = Status.FINISHED, *, written: bool = True, **wanted: Any) -> str:
        """Put a search into the store, with what its worker has written."""
        config = StructureConfig.quick(name="my search")
        record = self._studio.runs.add(config.name, status)
        plan = config.model_dump(mode="json")
        self._studio.runs.records[record.id] = replace(record, kind="structure", plan=plan)
        self.configs[record.id] = config
        if written:
            write_search(self._studio.home.run(record.id), **wanted)
        return record.id

    def check(self, config: StructureConfig) -> dict[str, Any]:
        if self.refused is not None:
            raise self.refused
        return {"parent": {}, "budget": {"parameters": 5_323_392, "least": 1, "most": 10**7}, "depths": [2, 3]}

    def submit(self, config: StructureConfig, *, request_id: str | None = None, now: bool = False) -> str:
        self.submitted.append(config)
        run_id = self.add(Status.QUEUED, written=False)
        self.configs[run_id] = config
        return run_id

    def config(self, run_id: str) -> StructureConfig:
        if run_id not in self.configs:
            raise RunError(f"Run {run_id} is no structure search.")
        return self.configs[run_id]

    def list(self, limit: int = 200) -> list[dict[str, Any]]:
        records = [self._studio.runs.records[run_id] for run_id in self.configs]
        return [
            {
                "id": one.id, "name": one.name, "status": str(one.status), "created": one.created, "seconds": 1.0,
                "parent": "bundled", "budget": 0.5, "random": False, "candidates": 6, "metrics": {},
            }
            for one in records
        ]  # fmt: skip

    def view(self, run_id: str) -> dict[str, Any]:
        found = view(self._studio.home.run(run_id))
        if found is None:
            return {"candidates": [], "conclusion": None}
        for one in found["candidates"]:
            one["has_model"] = one["on_front"]
        return {"id": run_id, "begun": True, **found}

    def distil_config(self, run_id: str, key: str, steps: int = 1000) -> DistilConfig:
        self.asked.append(("distil", run_id, key, steps))
        one = next(one for one in self.view(run_id)["candidates"] if one["key"] == key)
        return DistilConfig(shape=one["shape"], segments=one["segments"], steps=steps)

    def train_plan(self, run_id: str, key: str) -> Plan:
        self.asked.append(("train", run_id, key))
        return Plan(name="from a candidate", model=ModelConfig(source="bundled", max_length=77))
