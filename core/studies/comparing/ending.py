"""What a comparison leaves when all its runs are there: ``results.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.config import Plan
from core.config.comparison import Comparison, ComparisonTask
from core.errors import BertloomError
from core.studies.comparing.conflicts import conflicts_of
from core.studies.comparing.disagreements import disagreements, row_lengths
from core.studies.comparing.records import ChildRun
from core.studies.comparing.tables import costs, scores_by_class, scores_by_length, standings
from core.studies.comparing.verdicts import complete, transfer_of, verdicts_of
from core.training.context import RunContext

__all__ = ["brief", "results_of"]


def results_of(
    config: Comparison, children: Sequence[ChildRun], context: RunContext, *, looked_at: bool = True
) -> dict[str, Any]:
    """Judge a comparison and gather everything that page and report show.

    Parameters
    ----------
    config, children
        The comparison and the records of its runs.
    context
        The run's context; the weights that are kept answer the rows on which strategies disagree.
    looked_at
        Whether test rows are read again for lengths and disagreements.

    Returns
    -------
    dict
        ``metrics`` {strategy/task: mean on test}; under ``details``: ``verdicts``, ``standings``, ``costs``,
        ``classes``, ``lengths``, ``transfer``, ``conflicts``, ``disagreements``; ``data`` {task: rows, fingerprint,
        whether its texts are pairs}, ``runs`` (all, also those that failed), ``environment``.
    """
    verdicts = verdicts_of(config, children)
    stood = standings(config, children)
    lengths: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    pairs: set[str] = set()
    if looked_at:
        lengths, apart, pairs = _looked_at(config, children, context)
    return {
        "metrics": {f"{one['strategy']}/{one['task']}": one["mean"] for one in stood if one["mean"] is not None},
        "details": {
            "verdicts": verdicts, "standings": stood, "costs": costs(config, children),
            "classes": scores_by_class(config, children), "lengths": lengths,
            "transfer": transfer_of(config, verdicts), "conflicts": conflicts_of(config, children),
            "disagreements": apart,
            "complete": complete(config, children),
        },
        "data": {task.name: {**_data(task, children), "pairs": task.name in pairs} for task in config.tasks},
        "runs": [brief(one) for one in children],
        "environment": next((one.environment for one in children if one.environment), {}),
    }  # fmt: skip


def brief(child: ChildRun) -> dict[str, Any]:
    """Return a run without its curves and answers."""
    scores = {
        name: {"score": one.score, "gate": one.gate_score, "metric": one.metric, "model": one.model}
        for name, one in child.tasks.items()
    }
    return {
        "key": child.key, "strategy": child.strategy, "seed": child.seed, "tasks": scores, "failed": child.failed,
        "steps": child.steps, "seconds": child.seconds, "memory_mb": child.memory_mb, "run": child.run_id,
    }  # fmt: skip


def _data(task: ComparisonTask, children: Sequence[ChildRun]) -> dict[str, Any]:
    known = next((one.tasks[task.name] for one in children if task.name in one.tasks and not one.failed), None)
    return {
        "source": task.data.source, "rows": known.rows if known else {},
        "fingerprint": known.fingerprint if known else "", "metric": task.score,
    }  # fmt: skip


def _looked_at(
    config: Comparison, children: Sequence[ChildRun], context: RunContext
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], set[str]]:
    """Return scores by length, rows on which strategies disagree, and the tasks whose texts are pairs."""
    from core.training.material import load_rows

    rows: dict[str, Any] = {}
    for task in config.tasks:
        roles = load_rows(Plan(task=task.task, data=task.data), Path(context.cache))
        rows[task.name] = (roles.test, roles.labels)
    sizes = {task.name: row_lengths(task, rows[task.name][0]) for task in config.tasks}

    nesting = {task.name for task in config.tasks if task.task.gold == "spans"}

    def predict(strategy: str, task: str, texts: Sequence[Any]) -> list[Any] | None:
        own = [one.tasks[task].model for one in children if one.strategy == strategy and task in one.tasks]
        found = next(filter(None, own), None)
        return None if found is None else _answers(context.folder / found, texts, context, nests=task in nesting)

    pairs = {name for name, (test, _) in rows.items() if len(test) and test[0].get("text_pair") is not None}
    return scores_by_length(config, children, sizes), disagreements(config, children, rows, predict), pairs


def _answers(place: Path, texts: Sequence[Any], context: RunContext, *, nests: bool) -> list[Any] | None:
    """Return what kept weights say, where spans are the gold all that were found; None where they cannot be read."""
    from core.models.prediction import predict

    try:
        found = predict(place.resolve(), list(texts))
    except BertloomError as error:
        context.event("warning", f"Kept weights could not be asked: {error.message()}")
        return None
    told: list[Any] = []
    for one in found:
        heads = getattr(one, "heads", None)
        if heads is not None:
            told.append({"heads": list(heads), "relations": one.relations})
        elif nests and one.spans is not None and one.words is not None:
            words = one.words
            told.append(
                [
                    {"type": each["type"], "text": " ".join(words[each["first"] : each["last"] + 1])}
                    for each in one.spans
                ]
            )
        elif one.entities is not None:
            told.append([{"type": each["type"], "text": each["text"]} for each in one.entities])
        else:
            told.append(one.label)
    return told
