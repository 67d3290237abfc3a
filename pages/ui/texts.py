"""Words that more than one place shows, and advice for what went wrong."""

from __future__ import annotations

from core.runs.records import RunRecord, Status

__all__ = ["ABOUT", "next_step", "parts_words"]

ABOUT = "**Bertloom**: a local-first workbench for BERT-family encoders. Everything stays in your home folder."

#: Of a run that is a part of another one.
_PART = {
    Status.INTERRUPTED: "It stopped with the run that it belongs to, and begins again when that is resumed.",
    Status.PAUSED: "It was stopped with the run that it belongs to, and begins again when that is resumed.",
    Status.CANCELLED: "It was ended early: because others did better, or with the run that it belongs to.",
    Status.FAILED: "The run that it belongs to went on without it.",
}

#: What the runs are called that are parts of a run of some kind.
_PARTS = {
    "train": ("trial", "trials"), "claim": ("run of an arm", "runs of its arms"),
    "compare": ("run of a strategy", "runs of its strategies"),
}  # fmt: skip


def parts_words(kind: str | None, count: int) -> str:
    """Return how many parts a run of some kind has, in words; without a kind, of runs of several kinds."""
    one, many = _PARTS.get(kind or "", ("part", "parts"))
    return f"{count:,} {many if count != 1 else one}"


def next_step(run: RunRecord) -> str:
    """Return one sentence about what a person can do with a run that stopped before its end."""
    if run.child:
        return _PART.get(run.status, "")
    kept = (
        "Resume goes on from the last checkpoint"
        if run.has_checkpoint
        else "No checkpoint was written: Resume starts from the beginning"
    )
    match run.status:
        case Status.INTERRUPTED:
            return f"The worker ended without saying why (killed, switched off, or the machine restarted). {kept}."
        case Status.FAILED:
            return (
                f"{kept}, with the same plan. To change something first, duplicate the run; the log holds the details."
            )
        case Status.PAUSED:
            return "Resume puts the run back into the queue; it continues exactly where it stopped."
        case Status.CANCELLED:
            return f"{kept}. Delete frees its space."
    return ""
