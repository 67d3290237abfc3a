"""What a model card says of a head that points."""

from __future__ import annotations

from core.data.tasks.base import Task

__all__ = ["NOTE", "dictionary_note", "pointer_lines", "points"]

#: Entries that a card names.
_NAMED = 10

NOTE = (
    "Stock transformers has no class for this head: it would load the encoder and give it another head with random "
    "weights. The folder loads where Bertloom is installed."
)
_GIVEN = {"question_answering": '[["Who lives in Paris?", "Anna lives in Paris."]]'}


def points(task: Task) -> bool:
    """Tell whether a task's head points, so that no class of stock transformers holds it."""
    return "pointers" in task.model_kwargs()


def dictionary_note(task: Task) -> str:
    """Return what a card says of the entries that words can point to; nothing without a dictionary."""
    entries = task.model_kwargs().get("pointers", {}).get("dictionary") or []
    if not entries:
        return ""
    named = ", ".join(f"{text} ({kind})" for text, kind in entries[:_NAMED])
    more = f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return (
        f"The first word of an entity may point to one of {len(entries)} entries of a dictionary, which says its type: "
        f"{named}{more} (`pointers` in config.json)."
    )


def pointer_lines(task: Task) -> str:
    """Return Python that loads the folder and predicts."""
    return f"""\
from core.models import load_finished, predict  # comes with Bertloom
model = load_finished(".")  # the folder that holds this file
for answer in predict(model, {_GIVEN.get(task.kind, '["Anna lives in Paris."]')}):
    print(answer.as_dict())"""
