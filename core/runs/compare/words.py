"""A verdict on two strategies in words, the same for the command line and the dashboard."""

from __future__ import annotations

from core.runs.compare.results import TableVerdict

__all__ = ["sentence"]


def sentence(one: TableVerdict, margin: str | None = None) -> str:
    """Return a verdict in words, with what it lacks.

    Parameters
    ----------
    one
        The verdict.
    margin
        The margin in its unit; without it, as the number that it is.
    """
    found = one.comparison
    task = "" if one.task is None else f"{one.task}: "
    margin = margin or f"{found.delta:g}"
    match one.winner:
        case "a" | "b":
            better, worse = (one.a, one.b) if one.winner == "a" else (one.b, one.a)
            return f"{task}{better} is better than {worse}."
        case "equivalent":
            return f"{task}{one.a} and {one.b} are equivalent: they differ by less than {margin}."
        case "no verdict":
            return f"{task}{'no' if task else 'No'} verdict on {one.a} and {one.b}: {found.why}."
    told = f"{task}{one.a} and {one.b} are not distinguishable: {found.why}."
    if found.documents_limit:
        return told
    seeds = f"{found.seeds_needed:,}" if found.seeds_needed is not None else "more than 1,000"
    return f"{told} To find a difference of {margin}, {seeds} seeds are needed."
