"""Words of the fields that only joint training has."""

from __future__ import annotations

from pages.ui.planner_draft import Draft
from pages.ui.planner_stage_words import metrics_of, settings_of

__all__ = ["CHOICES", "LABELS", "PLACEHOLDERS", "STEPS", "TITLES", "metrics"]

#: By the name of the key in ``tasks`` or ``mixing``.
LABELS: dict[str, str] = {
    "name": "Name of the task",
    "max_length": "Longest text (sub-words)",
    "head_lr": "Learning rate of its head",
    "weight": "Weight of its loss",
    "quota": "Examples to train on",
    "share": "Counts",
    "alpha": "Power of the sizes (α)",
    "alpha_end": "α at the last step",
    "weights": "Weights of the losses",
    "weights_lr": "Learning rate of the weights",
    "pcgrad": "Take out conflicts (PCGrad)",
    "monitor_every": "Gradients compared (steps)",
}
PLACEHOLDERS: dict[str, str] = {
    "max_length": "as the model says", "head_lr": "as the training says", "quota": "drawn by size",
    "alpha_end": "as at the beginning", "monitor_every": "automatic",
}  # fmt: skip
STEPS: dict[str, float] = {
    "max_length": 16, "head_lr": 1e-4, "weight": 0.5, "quota": 100, "share": 0.5, "alpha": 0.1, "alpha_end": 0.1,
    "weights_lr": 0.01, "monitor_every": 10,
}  # fmt: skip
CHOICES: dict[str, str] = {"equal": "All equal", "fixed": "Chosen by me", "uncertainty": "Learnt (uncertainty)"}
#: Kinds of tasks, short, for a line about one.
TITLES: dict[str, str] = {
    "classification": "Labels of texts", "tagging": "Entities", "question_answering": "Answers in a text",
    "dependency": "Heads of words",
}  # fmt: skip


def metrics(draft: Draft) -> list[str]:
    """Return the metrics of a draft's task that are better when they are larger, its main one first."""
    found = metrics_of(str(draft.state.get("task.kind")), **settings_of(draft.state))
    return [name for name in found if not name.endswith("loss")]
