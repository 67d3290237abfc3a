"""The comparisons' desk of the facade: starting them, adding seeds, what is known so far, and what they will take."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import Comparison, Plan
from core.errors import BertloomError, ConfigError, DataError, RunError
from core.runs.desk import RunDesk
from core.runs.pointing import sentences_of_test
from core.runs.records import Status
from core.runs.store import Store
from core.studies.comparing.conflicts import conflicts_of
from core.studies.comparing.ending import brief
from core.studies.comparing.plans import estimated_plans, jobs_of
from core.studies.comparing.pointing import pointing_strategies
from core.studies.comparing.records import ChildRun, read_children
from core.studies.comparing.run import RECORDS
from core.studies.comparing.tables import costs, curves_of, standings

__all__ = ["ComparisonDesk"]

_Children = list[ChildRun]
_Dicts = list[dict[str, Any]]
#: What a run needs before its first step and after its last one, at most: model, tokens, scoring, results.
_LOADING_SECONDS = 6.0


class ComparisonDesk:
    """What pages and the command line do with comparisons.

    Parameters
    ----------
    store
        The store of the home.
    runs
        The runs' desk.
    estimate
        Makes a dry run of a plan, see :meth:`core.api.Studio.estimate`.
    predict
        Answers texts, see :meth:`core.api.Studio.predict`.
    point
        Says where heads point, see :meth:`core.api.Studio.pointers`.
    """

    def __init__(
        self,
        store: Store,
        runs: RunDesk,
        estimate: Callable[[Plan], dict[str, Any]],
        predict: Callable[[str, Sequence[Any]], _Dicts],
        point: Callable[[str, Sequence[Any]], _Dicts],
    ) -> None:
        self._store = store
        self._runs = runs
        self._estimate = estimate
        self._predict = predict
        self._point = point

    def submit(self, config: Comparison, *, request_id: str | None = None, now: bool = False) -> str:
        """Queue a comparison and return the run's id."""
        if config.continues is not None:
            self.config(config.continues)  # raises where there is no such comparison
        return self._runs.submit(config, kind="compare", request_id=request_id, now=now)

    def config(self, run_id: str) -> Comparison:
        """Return the config of a comparison's run.

        Raises
        ------
        RunError
            If the run is of another kind.
        """
        found = self._runs.config(run_id)
        if not isinstance(found, Comparison):
            raise RunError(f"Run {run_id} is no comparison.", where=run_id, expected="a run of kind compare")
        return found

    def with_seeds(self, run_id: str, seeds: int) -> Comparison:
        """Return the config of a comparison with more seeds, which takes over the runs that are there.

        Raises
        ------
        ConfigError
            If it has as many seeds already, or the comparison has not ended.
        """
        record, config = self._runs.get(run_id), self.config(run_id)
        if record.status is not Status.FINISHED:
            raise ConfigError(
                "Seeds can be added to a comparison that has finished.", where=run_id,
                advice="Resume it first; runs that are there are not made again.",
            )  # fmt: skip
        if seeds <= config.seeds:
            raise ConfigError(
                f"The comparison has {config.seeds} seeds already.", where="seeds", expected=f"more than {config.seeds}"
            )
        values = config.model_dump(mode="json") | {"seeds": seeds, "continues": record.id}
        return Comparison.model_validate(values)

    def children(self, run_id: str) -> _Children:
        """Return the records of a comparison's runs so far."""
        return read_children(self._store.home.run(self._runs.get(run_id).id) / RECORDS)

    def view(self, run_id: str) -> dict[str, Any]:
        """Return everything that is known of a comparison.

        Returns
        -------
        dict
            ``id``, ``name``, ``status``, ``config`` (plain data), ``total`` and ``done`` (runs), ``failed``,
            ``complete``; ``standings``, ``costs``, ``curves`` {task: {strategy: [{"seed", "steps", "values"}]}},
            ``runs``, ``conflicts``; and, once it is complete, ``verdicts``, ``classes``, ``lengths``, ``transfer``,
            ``disagreements``, ``data``, ``environment``. Before that nothing is judged.
        """
        record, config = self._runs.get(run_id), self.config(run_id)
        children = self.children(record.id)
        results = self._runs.results(record.id) or {}
        details = results.get("details") or {}
        found: dict[str, Any] = {
            "id": record.id, "name": record.name, "status": record.status.value,
            "config": config.model_dump(mode="json"), "total": len(jobs_of(config)), "done": len(children),
            "failed": sum(bool(one.failed) for one in children), "complete": bool(details.get("verdicts")),
            "curves": curves_of(config, children), "runs": results.get("runs") or [brief(one) for one in children],
            "standings": details.get("standings") or standings(config, children, intervals=False),
            "costs": details.get("costs") or costs(config, children),
            "conflicts": details.get("conflicts") or conflicts_of(config, children),
        }  # fmt: skip
        for name in ("verdicts", "classes", "lengths", "transfer", "disagreements"):
            found[name] = details.get(name) or []
        return {**found, "data": results.get("data") or {}, "environment": results.get("environment") or {}}

    def count(self, config: Comparison) -> int:
        """Return the number of runs of a comparison."""
        return len(jobs_of(config))

    def estimate(self, config: Comparison) -> dict[str, Any]:
        """Estimate a comparison's time by a dry run of each strategy and task (helper process).

        Returns
        -------
        dict
            ``runs``, ``seconds_low``, ``seconds_high`` (with everything that a run loads), ``memory_mb`` (largest), and
            ``parts`` [{"name", "runs", "steps", "seconds_low", "seconds_high", "memory_mb"}].
        """
        parts = []
        for name, plan, seeds in estimated_plans(config):
            found = self._estimate(plan)
            parts.append(
                {
                    "name": name, "runs": seeds, "steps": found["steps"],
                    "memory_mb": found["memory_mb"],
                    "seconds_low": round(seeds * float(found["seconds_low"]), 1),
                    "seconds_high": round(seeds * (float(found["seconds_high"]) + _LOADING_SECONDS), 1),
                }
            )  # fmt: skip
        total = {key: round(sum(one[key] for one in parts), 1) for key in ("seconds_low", "seconds_high")}
        memory = max((one["memory_mb"] for one in parts), default=0.0)
        return {"runs": self.count(config), **total, "memory_mb": memory, "parts": parts}

    def models(self, run_id: str) -> _Dicts:
        """Return the kept weights: ``strategy``, ``task``, ``seed``, ``folder``; those of the first seed, usually."""
        place = self._store.home.run(self._runs.get(run_id).id)
        found = []
        for one in self.children(run_id):
            for task, result in one.tasks.items():
                kept = (place / result.model).resolve() if result.model else None
                if kept is not None and (kept / "config.json").is_file():
                    found.append({"strategy": one.strategy, "task": task, "seed": one.seed, "folder": str(kept)})
        return found

    def predict(self, run_id: str, task: str, text: Any) -> _Dicts:
        """Ask every strategy about one text (helper process).

        Parameters
        ----------
        run_id
            The comparison.
        task
            Name of one of its tasks.
        text
            A text; for questions a list of question and context.

        Returns
        -------
        list of dict
            ``strategy``, and ``answer`` as :meth:`core.api.Studio.predict` gives it, or ``error`` in words; of a head
            that points also ``pointers`` (see :meth:`core.api.Studio.pointers`), unless the text is too long for that.
        """
        pointing = {name for name, tasks in self.pointing(run_id).items() if task in tasks}
        found: _Dicts = []
        seen: set[str] = set()
        for one in self.models(run_id):
            if task != one["task"] or one["strategy"] in seen:
                continue
            seen.add(one["strategy"])
            try:
                found.append({"strategy": one["strategy"], "answer": self._predict(one["folder"], [text])[0]})
            except BertloomError as error:
                found.append({"strategy": one["strategy"], "error": error.message()})
                continue
            if one["strategy"] in pointing:
                with contextlib.suppress(DataError):
                    found[-1]["pointers"] = self._point(one["folder"], [text])[0]
        return found

    def pointing(self, run_id: str) -> dict[str, list[str]]:
        """Return the tasks of each strategy whose heads point; strategies without any are left out."""
        return pointing_strategies(self.config(run_id))

    def pointed(self, run_id: str) -> _Dicts:
        """Return where heads that point do so in a few test sentences: of each task and strategy its first seed's run.

        Returns
        -------
        list of dict
            ``name`` (task, strategy and seed, in words) and ``sentences`` (see
            :func:`core.runs.pointing.sentences_of_test`), by task; what was not looked at is left out.
        """
        config, pointing = self.config(run_id), self.pointing(run_id)
        children = sorted(self.children(run_id), key=lambda one: one.seed)
        found: _Dicts = []
        for task in (one.name for one in config.tasks):
            for strategy in (name for name, tasks in pointing.items() if task in tasks):
                mine = [one for one in children if one.strategy == strategy and task in one.tasks and not one.failed]
                child = next((one for one in mine if one.run_id), None)
                if child is None:
                    continue
                looked = sentences_of_test(self._store.home.run(child.run_id))
                # A run of one task does not name it.
                sentences = looked.get(task) or (looked.get("") if len(child.tasks) == 1 else None)
                if sentences:
                    found.append({"name": f"{task}, {strategy}, seed {child.seed}", "sentences": sentences})
        return found

    def folder(self, run_id: str) -> Path:
        """Return the folder of a comparison's run."""
        return self._store.home.run(self._runs.get(run_id).id)
