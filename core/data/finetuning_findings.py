"""What a person should know of the finetuning set before training: roles, guard and fit, as findings and as a part."""

from __future__ import annotations

from typing import Literal

from core.config import DataConfig, TaskConfig
from core.data.finetuning import Finetuning
from core.data.fit import Level, Shift, level_of
from core.data.readers.base import shown
from core.data.report import DataReport

__all__ = ["tell_finetuning"]

_SHOWN = 20


def tell_finetuning(
    report: DataReport, found: Finetuning | None, data: DataConfig, task: TaskConfig, original: int
) -> None:
    """Add the sets that are learnt from, the guard's and the fit check's findings to a report.

    What keeps a run from starting does so only if the finetuning set is learnt from; else it is a warning.

    Parameters
    ----------
    report
        Its ``roles`` are known already.
    found
        The finetuning set; None without one.
    data, task
        As in the plan.
    original
        Rows of the original set that would be learnt from.
    """
    if found is None:
        return
    used = data.training != "original"
    error: Literal["error", "warning"] = "error" if used else "warning"
    source = found.table.reading.source
    report.sets = {
        "training": data.training,
        "finetuning": {
            "rows": len(found.indices), "read": found.table.reading.read, "source": source, "dropped": found.dropped,
            "record": found.record,
        },
        "original": {"rows": original, "source": report.sources["train"]["source"]},
    }  # fmt: skip
    if found.leaking:
        report.add(
            error, "finetuning_leak",
            f"{found.leaking:,} rows of the finetuning set stand in gate or test, or were made of rows that do.",
            f"{source}, {_leaks(found)}",
            "Derive it from other rows (the rest of a part is meant for gate), or set data.drop_duplicates: it leaves "
            "them out of the finetuning set; gate and test stay as they are.",
        )  # fmt: skip
    for reason, words in (
        ("leaking", "stand in gate or test, or were made of rows that do"),
        ("repeated", "repeat an earlier row of it"),
        ("original", "stand in the original set too"),
    ):
        if count := found.dropped.get(reason):
            told = f"{count:,} rows of the finetuning set {words}; left out."
            report.add("note", f"finetuning_{reason}", told, source)
    if not len(found.indices):
        report.add(
            error, "finetuning_empty", "No row of the finetuning set is left.", source,
            "Derive it from rows that are neither gate nor test.",
        )  # fmt: skip
        return
    if found.repeats and not found.dropped:
        report.add(
            "note", "finetuning_repeats",
            f"{found.repeats:,} rows of the finetuning set stand in the original set too.", source,
            "Together they are learnt twice; data.drop_duplicates leaves them out.",
        )  # fmt: skip
    if found.record is not None and not found.record["fits"]:
        report.add(
            "warning", "finetuning_record", "The record beside the finetuning set is of other rows.", source,
            "The file was changed after it was derived; derive it again.",
        )  # fmt: skip
    _tell_labels(report, found, data, task, used=used)
    report.fit = {
        "warn": data.fit_warn, "refuse": data.fit_refuse, "missing": found.missing, "extra": found.extra,
        "classes": found.classes, "unit": found.unit,
    }  # fmt: skip
    for name, what, shift in (
        ("labels", "The labels", found.labels), ("lengths", f"The lengths (in {found.unit})", found.lengths),
    ):  # fmt: skip
        level = level_of(shift, data.fit_warn, data.fit_refuse)
        report.fit[name] = None if shift is None else {**shift.as_dict(), "level": level}
        if shift is not None:
            _tell_shift(report, name, what, shift, level, data, used=used)


def _leaks(found: Finetuning) -> str:
    parts = []
    for leak in found.leaks[:5]:
        made = f" (made of row {leak['made_of']})" if leak["made_of"] is not None else ""
        parts.append(f"row {leak['row']}{made} = {leak['role']} row {leak['other']}")
    return "; ".join(parts) + (f"; and {found.leaking - 5} more" if found.leaking > 5 else "")


def _tell_labels(report: DataReport, found: Finetuning, data: DataConfig, task: TaskConfig, *, used: bool) -> None:
    level: Literal["error", "warning"] = "error" if used else "warning"
    what = {"tagging": "entity types", "dependency": "relations"}.get(task.kind, "labels")
    source = found.table.reading.source
    if found.extra:
        report.add(
            level, "fit_labels",
            f"The finetuning set has {what} that the original set lacks: {_list(found.extra)}.", source,
            "Relabel them or leave them out (bertloom data derive --step relabel).",
        )  # fmt: skip
    if found.missing:
        within = data.fit_labels == "within"
        report.add(
            "note" if within else level, "fit_labels",
            f"The finetuning set lacks {what} of the original set: {_list(found.missing)}.", source,
            "" if within else "Derive it from more rows, or set data.fit_labels to within: labels may then be missing.",
        )  # fmt: skip


def _list(names: list[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def _tell_shift(
    report: DataReport, name: str, what: str, shift: Shift, level: Level, data: DataConfig, *, used: bool
) -> None:
    words = (
        f"{what} of the finetuning set are shifted by {shift.divergence:.3f} ({shift.low:.3f} to {shift.high:.3f}; "
        f"Jensen-Shannon, 0 to 1)"
    )
    if level == "fits":
        report.add("note", f"fit_{name}_shift", f"{words}.")
    elif level == "warned":
        report.add(
            "warning", f"fit_{name}_shift", f"{words}: more than {data.fit_warn:g}.", "",
            "Compare a run on the original set with one on both: data.training.",
        )  # fmt: skip
    else:
        report.add(
            "error" if used else "warning", f"fit_{name}_shift", f"{words}: more than {data.fit_refuse:g}.", "",
            "Choose the rows or the steps differently, or raise data.fit_refuse (empty: nothing is refused).",
        )  # fmt: skip
