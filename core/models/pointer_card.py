"""What a model card says of a head that points."""

from __future__ import annotations

from core.data.tasks.base import Task

__all__ = ["NOTE", "pointer_lines", "points"]

NOTE = (
    "Stock transformers has no class for this head: it would load the encoder and give it another head with random "
    "weights. The folder loads where Bertloom is installed."
)
_GIVEN = {"question_answering": '[["Who lives in Paris?", "Anna lives in Paris."]]'}


def points(task: Task) -> bool:
    """Tell whether a task's head points, so that no class of stock transformers holds it."""
    return "pointers" in task.model_kwargs()


def pointer_lines(task: Task) -> str:
    """Return Python that loads the folder and predicts."""
    return f"""\
from core.models import load_finished, predict  # comes with Bertloom
model = load_finished(".")  # the folder that holds this file
for answer in predict(model, {_GIVEN.get(task.kind, '["Anna lives in Paris."]')}):
    print(answer.as_dict())"""
