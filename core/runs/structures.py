"""The structure searches' desk of the facade: check, start, what was found, and handing a candidate over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.config import ModelConfig, Plan
from core.config.distil import DistilConfig
from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.errors import RunError, RunNotFound
from core.runs import folder
from core.runs.desk import RunDesk
from core.runs.records import RunRecord
from core.runs.sources import absolute_sources
from core.runs.store import Store
from core.search.structure import budget
from core.search.structure.view import view

__all__ = ["StructureDesk"]

# inside a class with a method `list`, the name no longer means the type
_Dicts = list[dict[str, Any]]


class StructureDesk:
    """What pages and the command line do with structure searches.

    Parameters
    ----------
    store
        The store of the home.
    runs
        The runs' desk.
    """

    def __init__(self, store: Store, runs: RunDesk) -> None:
        self._store = store
        self._runs = runs

    def check(self, config: StructureConfig) -> dict[str, Any]:
        """Check a search as far as that takes no time; a local parent's config is read.

        Returns
        -------
        dict
            ``parent``, ``budget`` {parameters, least, most}, ``depths``; see
            :func:`core.search.structure.budget.check`.

        Raises
        ------
        ConfigError
            If depths, widths or budget cannot be; with the nearest budget that can.
        ModelError
            If the parent cannot be one.
        """
        return budget.check(config)

    def submit(self, config: StructureConfig, *, request_id: str | None = None, now: bool = False) -> str:
        """Queue a search and return the run's id; a local parent is checked first."""
        if not config.model.source.startswith("hub:"):
            self.check(absolute_sources(config, self._store.home))
        return self._runs.submit(config, kind="structure", request_id=request_id, now=now)

    def config(self, run_id: str) -> StructureConfig:
        """Return the config of a search.

        Raises
        ------
        RunError
            If the run is of another kind.
        """
        found = self._runs.config(run_id)
        if not isinstance(found, StructureConfig):
            raise RunError(f"Run {run_id} is no structure search.", where=run_id, expected="a run of kind structure")
        return found

    def list(self, limit: int = 200) -> _Dicts:
        """Return the searches, newest first.

        Returns
        -------
        list of dict
            ``id``, ``name``, ``status``, ``created``, ``seconds``, ``parent``, ``budget`` (parameters or share),
            ``random``, ``candidates``, ``metrics``.
        """
        records = [one for one in self._runs.list(limit=10_000) if one.kind == "structure"][:limit]
        return [_listed(one) for one in records]

    def view(self, run_id: str) -> dict[str, Any]:
        """Return what a search has found so far; live.

        Returns
        -------
        dict
            ``id``, ``name``, ``status``, ``progress``, ``begun``, ``random``, and once it has begun what
            :func:`core.search.structure.view.view` returns. A child run that was deleted stands as None.
        """
        config, record = self.config(run_id), self._runs.get(run_id)
        told = {
            "id": record.id, "name": record.name, "status": str(record.status), "progress": record.progress,
            "random": config.random,
        }  # fmt: skip
        found = view(self._store.home.run(record.id))
        if found is None:
            waiting = {"phase": str(record.progress.get("phase") or record.status), "ended": False, "begun": False}
            empty: dict[str, Any] = {
                "candidates": [], "front": [], "history": [], "rungs": [], "references": [], "notices": [],
                "depths": {}, "seconds": {}, "hypervolume": None, "conclusion": None, "bytes": 0, "parent": None,
                "wanted": config.candidates, "objectives": list(config.objectives),
                "budget": {
                    "parameters": config.budget.parameters, "share": config.budget.share,
                    "latency_ms": config.budget.latency_ms,
                },
            }  # fmt: skip
            return {**told, **waiting, **empty}
        there = {one.id for one in self._runs.list(part_of=record.id, limit=100_000)}
        for candidate in found["candidates"]:
            for name in ("run", "finetune_run"):
                candidate[name] = candidate[name] if candidate[name] in there else None
            candidate["has_model"] = candidate["run"] is not None and folder.has_model(
                self._store.home.run(candidate["run"])
            )
        return {**told, "begun": True, **found}

    def front(self, run_id: str) -> dict[str, Any]:
        """Return the Pareto front of a search.

        Returns
        -------
        dict
            ``id``, ``status``, ``front`` [{key, depth, widths, units, parameters, flops, latency_ms, loss, steps,
            score, source, run, model}] (the best loss first; `model` is the encoder's folder, once it is written),
            ``hypervolume``, ``objectives``, ``candidates`` (number ranked), ``budget``, ``conclusion``.
        """
        found = self.view(run_id)
        by_key = {one["key"]: one for one in found["candidates"]}
        members = []
        names = ("key", "depth", "widths", "units", "parameters", "flops", "loss", "steps", "score", "source", "run")
        for one in (by_key[key] for key in found["front"] if key in by_key):
            latency = one["latency"]
            model = str(self._store.home.run(one["run"]) / "best") if one["has_model"] else None
            members.append(
                {
                    **{name: one[name] for name in names}, "latency_ms": None if latency is None else latency["p50"],
                    "model": model,
                }
            )  # fmt: skip
        return {
            "id": found["id"], "status": found["status"], "front": members, "hypervolume": found["hypervolume"],
            "objectives": found["objectives"], "budget": found["budget"], "conclusion": found["conclusion"],
            "candidates": sum(one["rank_loss"] is not None for one in found["candidates"]),
        }  # fmt: skip

    def statistics(self, run_id: str) -> dict[str, Any] | None:
        """Return the statistics that a search is based on; None before they are measured."""
        return folder.read_json(self._store.home.run(self._runs.get(run_id).id) / "statistics.json")

    # ---- handing over ------------------------------------------------------------------------------------------------

    def candidate(self, run_id: str, key: str) -> dict[str, Any]:
        """Return one candidate as :meth:`view` has it.

        Raises
        ------
        RunNotFound
            If the search has no such candidate.
        """
        for one in self.view(run_id)["candidates"]:
            if one["key"] == key:
                return dict(one)
        raise RunNotFound(f"The search has no candidate {key[:40]!r}.", where=f"run {run_id}")

    def model_folder(self, run_id: str, key: str) -> Path | None:
        """Return the folder of a candidate's encoder, if it has one: those on the front keep theirs."""
        one = self.candidate(run_id, key)
        return self._store.home.run(one["run"]) / "best" if one["has_model"] else None

    def train_plan(self, run_id: str, key: str) -> Plan:
        """Return a plan that starts from a candidate's encoder, on the rows that the search fine-tuned on, if it did.

        Raises
        ------
        RunError
            If its encoder was not kept.
        """
        config, place = self.config(run_id), self.model_folder(run_id, key)
        if place is None:
            raise RunError(
                "The encoder of this candidate was not kept.", where=f"candidate {key}",
                expected="a candidate on the front",
                advice="Distil the parent into its shape: that gives it weights again.",
            )  # fmt: skip
        model = ModelConfig(source=str(place), max_length=config.model.max_length)
        plan = Plan(name=f"{config.name[:80]} {key}", model=model)
        if config.finetune is not None:
            plan = plan.model_copy(update={"task": config.finetune.task, "data": config.finetune.data})
        return plan

    def distil_config(self, run_id: str, key: str, steps: int = 1000) -> DistilConfig:
        """Return what distils the parent into a candidate's shape, from inherited weights, with the search's texts."""
        config, one = self.config(run_id), self.candidate(run_id, key)
        halving = config.halving
        return DistilConfig(
            name=f"{config.name[:60]} {'-'.join(map(str, one['widths']))}"[:120], model=config.model,
            shape=EncoderShape.model_validate(one["shape"]), segments=one["segments"], corpus=config.texts(),
            steps=steps, lr=halving.lr, batch_tokens=halving.batch_tokens,
        )  # fmt: skip

    def export_shape(self, run_id: str, key: str) -> str:
        """Return a candidate's shape as JSON, as ``bertloom model inherit --shape`` reads it."""
        return json.dumps(self.candidate(run_id, key)["shape"], indent=1) + "\n"


def _listed(record: RunRecord) -> dict[str, Any]:
    plan = record.plan
    limit = plan.get("budget") or {}
    return {
        "id": record.id, "name": record.name, "status": str(record.status), "created": record.created,
        "seconds": record.seconds, "parent": (plan.get("model") or {}).get("source"),
        "budget": limit.get("parameters") or limit.get("share"), "random": bool(plan.get("random")),
        "candidates": plan.get("candidates"), "metrics": record.metrics,
    }  # fmt: skip
