"""Distillation in the planner, pure: student and teacher in numbers, layer maps, and what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import TaskConfig
from core.errors import ConfigError
from core.models.label_names import renamed_labels
from core.models.layers import kept_layers
from core.models.trained import OTHER_PIECES, task_difference
from core.training.distil.pairs import layer_pairs

__all__ = [
    "Side", "answer_bytes", "layer_map", "pairs_problem", "pieces_problem", "size_words", "state_problems",
    "student_side", "teacher_problem", "teacher_side",
]  # fmt: skip

#: Families whose layers all have the config's width and number of heads.
_SHAPED = "shaped_bert"
#: Kinds of losses that compare vectors, which a map brings to one width.
_VECTORS = ("hidden", "embedding")


@dataclass(frozen=True)
class Side:
    """Student or teacher, as far as its folder tells.

    Parameters
    ----------
    title
        What people call it.
    layers
        How many it has.
    width, heads
        Of every layer; None where they differ, or nobody knows.
    parameters
        Numbers in its weights, those of layers that are not kept left out.
    vocabulary
        Digest of its tokeniser's vocabulary.
    origins
        For each layer its number in the folder, from 1.
    """

    title: str
    layers: int
    width: int | None
    heads: int | None
    parameters: int | None
    vocabulary: str | None = None
    origins: tuple[int, ...] = ()


def teacher_side(trained: Mapping[str, Any]) -> Side | None:
    """Return a teacher's numbers; None where its config does not say how many layers it has."""
    return _side(trained, None)


def student_side(about: Mapping[str, Any], kept: object) -> Side | None:
    """Return a student's numbers.

    Parameters
    ----------
    about
        The described encoder.
    kept
        ``model.keep_layers``: how many, which, or None.
    """
    return _side(about, kept)


def _side(about: Mapping[str, Any], kept: object) -> Side | None:
    layers = about.get("layers")
    if not isinstance(layers, int) or layers < 1:
        return None
    try:
        chosen = kept_layers(kept, layers) if isinstance(kept, int | list) and kept else list(range(1, layers + 1))
    except (ConfigError, TypeError):
        return None
    parameters = about.get("parameters")
    sizes = about.get("layer_parameters") or []
    if isinstance(parameters, int) and len(chosen) < layers:
        gone = [size for number, size in enumerate(sizes, 1) if number not in chosen]
        parameters = parameters - sum(gone) if len(sizes) == layers else None
    shaped = about.get("family") == _SHAPED
    return Side(
        str(about.get("title") or about.get("source") or "?"), len(chosen),
        None if shaped else about.get("hidden_size"), None if shaped else about.get("heads"), parameters,
        about.get("vocabulary"), tuple(chosen),
    )  # fmt: skip


def layer_map(way: object, student: int, teacher: int) -> list[tuple[int, int]] | None:
    """Return which layer of the student learns from which of the teacher, both from 1, as the run will pair them.

    Parameters
    ----------
    way
        ``uniform``, ``skip``, ``last``, or a list of pairs, which need not fit; None is returned for ``cka``, which
        needs weights and rows.
    student, teacher
        Numbers of layers.
    """
    if isinstance(way, Sequence) and not isinstance(way, str):
        return [(int(own), int(other)) for own, other in way]
    try:
        return layer_pairs(str(way), student, teacher)
    except ValueError:
        return None if way == "cka" else []


def pairs_problem(way: object, student: int, teacher: int) -> str | None:
    """Say what is wrong with a map of layers; None where it fits."""
    pairs = layer_map(way, student, teacher)
    if pairs is None:
        return None
    if not pairs:
        return "the student has one layer only, and the last one is left out: nothing is compared"
    for own, other in pairs:
        if own > student:
            return f"the student has {_layers(student)}: there is no layer {own}"
        if other > teacher:
            return f"the teacher has {_layers(teacher)}: there is no layer {other}"
    return None


def _layers(number: int) -> str:
    return f"{number} layer{'' if number == 1 else 's'}"


def state_problems(states: Sequence[Mapping[str, Any]], student: Side, teacher: Side) -> dict[str, str]:
    """Return what of the losses between layers cannot be computed, by ``NUMBER.key`` of the loss.

    Parameters
    ----------
    states
        The losses, as plain data.
    student, teacher
        Both sides; where a width or the heads are not known, nothing is said of them.
    """
    found: dict[str, str] = {}
    for number, one in enumerate(states):
        kind = one.get("kind")
        if kind != "embedding":
            problem = pairs_problem(one.get("layers"), student.layers, teacher.layers)
            if problem:
                found[f"{number}.layers"] = problem
        widths = student.width, teacher.width
        if kind in _VECTORS and one.get("map") == "none" and None not in widths and widths[0] != widths[1]:
            found[f"{number}.map"] = (
                f"the student is {widths[0]} wide, the teacher {widths[1]}: a learned map is needed, or a loss of "
                "relations"
            )
        heads = student.heads, teacher.heads
        if kind == "attention" and None not in heads and heads[0] != heads[1]:
            found[f"{number}.kind"] = (
                f"the student has {heads[0]} heads a layer, the teacher {heads[1]}: take a loss of relations"
            )
        if kind == "relation":
            found |= {f"{number}.heads": words for words in _relation_heads(one.get("heads"), student, teacher)}
    return found


def _relation_heads(given: object, student: Side, teacher: Side) -> list[str]:
    heads = given if isinstance(given, int) else student.heads
    if not heads:
        return []
    bad = [
        f"the {who}'s width of {one.width}"
        for who, one in (("student", student), ("teacher", teacher)) if one.width and one.width % heads
    ]  # fmt: skip
    return [f"{heads} relation heads do not divide {' and '.join(bad)}"] if bad else []


def teacher_problem(
    trained: Mapping[str, Any], task: TaskConfig, labels: Sequence[str] | None, names: object = None
) -> str | None:
    """Say why a trained model cannot teach this plan's student; None where it can.

    Parameters
    ----------
    trained
        What :meth:`core.api.ModelDesk.trained` says of it.
    task
        The plan's.
    labels
        Of the plan's rows; None while nobody has read them.
    names
        What the teacher's labels are called in the data, as the form has it.
    """
    told = {str(one): str(other) for one, other in names.items()} if isinstance(names, Mapping) else {}
    try:
        called = renamed_labels(list(trained["labels"]), told, where="labels")
    except ConfigError as error:
        return error.what
    return task_difference(TaskConfig.model_validate(trained["task"]), called, task, labels)


def pieces_problem(trained: Mapping[str, Any], student: Side | None) -> str | None:
    """Say why a teacher cannot answer questions for a student: they cut texts otherwise; None as far as is known."""
    theirs, own = trained.get("vocabulary"), student.vocabulary if student is not None else None
    return OTHER_PIECES if theirs and own and theirs != own else None


def answer_bytes(counted: Mapping[str, Any] | None) -> tuple[int, int, int] | None:
    """Return (answers, numbers in an answer, bytes) that one teacher's answers take; None while nobody has counted.

    Where answers differ in length their numbers are a mean.
    """
    found = (counted or {}).get("answers")
    if not found:
        return None
    units, classes = int(found["units"]), int(found["classes"])
    return units, classes, 2 * int(found.get("numbers", units * classes))


def size_words(student: Side, teacher: Side) -> tuple[str, bool]:
    """Compare the sizes in a sentence; the second value says whether the student is as large as its teacher."""
    if student.parameters is None or teacher.parameters is None or not teacher.parameters:
        return f"{_layers(student.layers)} of the student, {teacher.layers} of the teacher.", False
    own, other = student.parameters, teacher.parameters
    if own > other:
        return (
            f"The student has {own / 1e6:.1f} M parameters, more than its teacher with {other / 1e6:.1f} M: nothing "
            "becomes smaller.", True,
        )  # fmt: skip
    if own == other:
        return f"The student is as large as its teacher ({own / 1e6:.1f} M parameters): nothing becomes smaller.", True
    return (
        f"The student has {own / 1e6:.1f} M parameters, {own / other:.0%} of its teacher's {other / 1e6:.1f} M.",
        False,
    )
