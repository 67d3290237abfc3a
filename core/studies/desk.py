"""The claims' desk of the facade: the shelf, starting claims, and what they have shown so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.config import ClaimConfig, Plan
from core.config.claims import Part
from core.errors import RunError
from core.runs import folder
from core.runs.desk import RunDesk
from core.runs.records import RunRecord, Status
from core.runs.store import Store
from core.studies.arms import plan_of
from core.studies.records import ArmRun, read_records
from core.studies.run import jobs_of
from core.studies.shelf import CLAIMS, Claim, claim_named
from core.studies.verdicts import Judged, judge

__all__ = ["ClaimDesk"]

# inside a class with a method `list`, the name no longer means the type
_Dicts = list[dict[str, Any]]
_Runs = list[ArmRun]
_Verdicts = list[Judged]


class ClaimDesk:
    """What pages and the command line do with claims.

    Parameters
    ----------
    store
        The store of the home.
    runs
        The runs' desk.
    estimate
        Makes a dry run of a plan, see :meth:`core.api.Studio.estimate`.
    """

    def __init__(self, store: Store, runs: RunDesk, estimate: Callable[[Plan], dict[str, Any]]) -> None:
        self._store = store
        self._runs = runs
        self._estimate = estimate

    def list(self) -> _Dicts:
        """Return the shelf.

        Returns
        -------
        list of dict
            ``name``, ``sentence``, ``tested``, ``decided``, ``measures``, ``arms`` {part: [titles]}, ``table`` (nothing
            is claimed), and ``last``: ``None`` or {"id", "name", "status", "time", "verdicts" {part: verdict}} of its
            newest run.
        """
        newest: dict[str, RunRecord] = {}
        for record in self._runs.list(limit=1000):
            if record.kind == "claim":
                newest.setdefault(str(record.plan.get("claim")), record)
        return [{**describe(claim), "last": self._last(newest.get(claim.name))} for claim in CLAIMS]

    def submit(self, config: ClaimConfig, *, request_id: str | None = None, now: bool = False) -> str:
        """Queue the test of a claim and return the run's id.

        Raises
        ------
        ConfigError
            If there is no such claim.
        """
        claim_named(config.claim)
        return self._runs.submit(config, kind="claim", request_id=request_id, now=now)

    def config(self, run_id: str) -> ClaimConfig:
        """Return the config of a claim's run.

        Raises
        ------
        RunError
            If the run is of another kind.
        """
        found = self._runs.config(run_id)
        if not isinstance(found, ClaimConfig):
            raise RunError(f"Run {run_id} tests no claim.", where=run_id, expected="a run of kind claim")
        return found

    def runs_of(self, run_id: str) -> _Runs:
        """Return what is recorded of a claim's runs so far, by part, arm and seed."""
        return read_records(self._store.home.run(self._runs.get(run_id).id) / "arms")

    def verdicts(self, run_id: str) -> _Verdicts:
        """Return the verdict for each part as the worker wrote it; before that, what the arms reached so far."""
        config = self.config(run_id)
        claim = claim_named(config.claim)
        results = self._runs.results(run_id) or {}
        if written := (results.get("details") or {}).get("verdicts"):
            return [Judged.from_dict(one) for one in written]
        # Comparing is the worker's work: it takes a second of drawing, and libraries that a page does without.
        return judge(
            claim, self.runs_of(run_id), config.seed_list, parts=config.parts, delta=config.delta, compared=False
        )

    def count(self, config: ClaimConfig) -> int:
        """Return the number of runs that a claim trains."""
        return len(jobs_of(claim_named(config.claim), config))

    def estimate(self, config: ClaimConfig) -> dict[str, Any]:
        """Estimate a claim's time by a dry run of one arm of each part (helper process).

        Returns
        -------
        dict
            ``runs``, ``seconds_low`` and ``seconds_high`` (with everything that a run loads before its first step), and
            ``parts`` {part: {"runs", "seconds_low", "seconds_high", "memory_mb"}}.
        """
        claim = claim_named(config.claim)
        parts: dict[Part, dict[str, Any]] = {}
        for part in config.parts:
            arms = claim.designs[part].arms
            # Arms differ in rates, which cost nothing; where they differ in batches, the largest stands for all.
            plans = [plan_of(config, part, arm, config.first_seed) for arm in arms]
            found = self._estimate(max(plans, key=lambda plan: (plan.stages[0].batch_size, -len(plan.stages))))
            runs = len(arms) * config.seeds
            parts[part] = {
                "runs": runs, "memory_mb": found["memory_mb"],
                "seconds_low": round(runs * float(found["seconds_low"]), 1),
                "seconds_high": round(runs * (float(found["seconds_high"]) + _LOADING_SECONDS), 1),
            }  # fmt: skip
        total = {key: round(sum(one[key] for one in parts.values()), 1) for key in ("seconds_low", "seconds_high")}
        return {"runs": self.count(config), **total, "parts": parts}

    def _last(self, record: RunRecord | None) -> dict[str, Any] | None:
        if record is None:
            return None
        verdicts = {}
        if record.status is Status.FINISHED:
            results = folder.read_json(self._store.home.run(record.id) / "results.json") or {}
            found = (results.get("details") or {}).get("verdicts") or ()
            verdicts = {str(one["part"]): str(one["verdict"]) for one in found}
        return {
            "id": record.id, "name": record.name, "status": str(record.status), "verdicts": verdicts,
            "time": record.ended or record.created,
        }  # fmt: skip


#: What a run needs before its first step and after its last one, at most: rows, model, tokens, results.
_LOADING_SECONDS = 10.0


def describe(claim: Claim) -> dict[str, Any]:
    """Return a claim of the shelf as plain data."""
    return {
        "name": claim.name, "sentence": claim.sentence, "tested": claim.tested, "decided": claim.decided,
        "measures": claim.measures, "table": claim.is_table,
        "arms": {part: [arm.title for arm in design.arms] for part, design in claim.designs.items()},
    }  # fmt: skip
