"""Ready plans that learn from a teacher, each named by the paper whose losses it has.

A recipe takes the losses of its paper, not its data: no text is added, and no masked word is learnt. Plain data without
torch. ``python -m core.config.recipes`` writes them into ``docs/plans/``; a test compares.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.config.plan import DataConfig, ModelConfig, Plan, TaskConfig
from core.errors import ConfigError

__all__ = ["Recipe", "example", "recipe", "recipes"]

#: Rows of a bundled sample that a recipe takes, so that it ends within minutes.
_ROWS = 2000
#: Layers and width of a teacher that is not at hand.
_USUAL_LAYERS, _USUAL_WIDTH = 12, 768
#: Relation heads of MiniLMv2 for teachers of BERT-base's size (Wang et al. 2021).
_RELATION_HEADS = 48
#: PKD's weight of the layers, of those that its authors searched: 10, 100, 500, 1000 (Sun et al. 2019).
_PATIENCE = 100


@dataclass(frozen=True)
class _Case:
    """What a recipe is cooked for: teacher, layers and widths of both, whether words are answered and not texts."""

    teacher: str
    layers: int
    student: int
    widths: tuple[int, int]
    words: bool
    own_head: bool

    def stage(self, name: str, *, epochs: float, **distil: Any) -> dict[str, Any]:
        """Return a stage with rates that suit the task. A head that is new is trained faster."""
        return {
            "name": name, "kind": "distil", "epochs": epochs * (2.0 if self.words else 1.0),
            "batch_size": 16 if self.words else 32, "lr": 3e-4 if self.words else 1e-4,
            "head_lr": 1e-3 if self.words or not self.own_head else None,
            "schedule": {"name": "linear", "warmup": 0.1},
            "distil": {"teachers": [{"source": self.teacher}], **distil},
        }  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A ready plan that needs a teacher.

    Parameters
    ----------
    name
        What the command line calls it.
    title
        A short name for people.
    about
        What it learns from, and where it departs from its paper.
    source
        The paper.
    first
        Whether the student begins as the lowest layers of the teacher; otherwise as layers spread evenly.
    stages
        Builds the stages.
    """

    name: str
    title: str
    about: str
    source: str
    stages: Callable[[_Case], list[dict[str, Any]]]
    first: bool = False

    def plan(
        self,
        data: str | DataConfig = "reviews",
        task: str | TaskConfig = "classification",
        *,
        teacher: str,
        layers: int | None = None,
        width: int | None = None,
        keep_layers: int | None = None,
        model: str | ModelConfig | None = None,
        student: tuple[int, int] | None = None,
        name: str | None = None,
    ) -> Plan:
        """Return the plan for some data, task, teacher and student.

        Parameters
        ----------
        data
            A source, of which the first 2,000 training rows are sampled, or a whole config, which is taken as it is.
        task
            Its kind, or a whole config.
        teacher
            A run's id, a folder of a trained model or of a run, or ``hub:NAME``.
        layers, width
            The teacher's layers and width; None: 12 and 768.
        keep_layers
            How many of the teacher's layers the student begins as; None: half of them. Of another `model` how many
            of its own; None: all.
        model
            The student, where it is no part of the teacher: a source, or a whole config.
        student
            Its layers and width, as far as they are known; None: as the teacher's.
        name
            Name of the run; None: the recipe's title and the data's source.

        Raises
        ------
        ConfigError
            If there is no teacher, or the student is to have more layers than there are.
        """
        if teacher.strip() in ("", "bundled"):
            untrained = " The bundled encoder has no trained head." if teacher.strip() else ""
            raise ConfigError(
                f"The ready plan {self.name} learns from a teacher.{untrained}", where="--teacher",
                expected="a run's id, a folder of a model that was trained for this task, or hub:NAME",
            )  # fmt: skip
        depth, wide = layers or _USUAL_LAYERS, width or _USUAL_WIDTH
        own = (depth, wide) if model is None or student is None else student
        keep = keep_layers if model is not None or keep_layers is not None else max(1, depth // 2)
        if keep is not None and not 1 <= keep <= own[0]:
            raise ConfigError(
                f"{keep} layers cannot be kept: there are {own[0]}.", where="model.keep_layers",
                expected=f"1 to {own[0]}",
            )  # fmt: skip
        rows = data if isinstance(data, DataConfig) else DataConfig(source=data, train_rows=_ROWS)
        what = task if isinstance(task, TaskConfig) else TaskConfig.model_validate({"kind": task})
        given = ModelConfig(source=teacher) if model is None else model
        encoder = given if isinstance(given, ModelConfig) else ModelConfig(source=given)
        kept: int | list[int] | None = list(range(1, keep + 1)) if keep is not None and self.first else keep
        count = own[0] if keep is None else keep
        case = _Case(teacher, depth, count, (own[1], wide), what.kind != "classification", model is None)
        return Plan.model_validate(
            {
                "name": (name or f"{self.title}, {rows.source.rpartition('/')[2]}")[:120], "tags": [self.name[:40]],
                "task": what.model_dump(), "data": rows.model_dump(),
                "model": encoder.model_dump() | ({} if kept is None else {"keep_layers": kept}),
                "stages": self.stages(case),
            }
        )  # fmt: skip


def recipes() -> list[Recipe]:
    """Return all recipes, in the order in which they are offered."""
    return list(_RECIPES)


def recipe(name: str) -> Recipe | None:
    """Return one recipe, or None if there is none of this name."""
    return next((one for one in _RECIPES if one.name == name), None)


def _differences(case: _Case) -> list[dict[str, Any]]:
    return [case.stage("learn", epochs=3, temperature=2.0, alpha=0.7, differences=0.5)]


def _distilbert(case: _Case) -> list[dict[str, Any]]:
    """Weigh answers, gold and cosine as 5 : 2 : 1, like answers, masked words and cosine in the authors' script."""
    cosine = {"kind": "hidden", "distance": "cosine", "layers": "last", "weight": round(1 / 7, 4)}
    return [case.stage("learn", epochs=3, temperature=2.0, alpha=round(5 / 7, 4), states=[cosine])]


def _pkd(case: _Case) -> list[dict[str, Any]]:
    """The authors' code averages over the width too, so their β counts by the width here."""
    layers = {
        "kind": "hidden", "distance": "normalised", "layers": "skip" if case.student > 1 else "last",
        "positions": "all" if case.words else "first", "weight": round(_PATIENCE / case.widths[1], 4),
    }  # fmt: skip
    return [case.stage("learn", epochs=4, temperature=10.0, alpha=0.5, states=[layers])]


def _tinybert(case: _Case) -> list[dict[str, Any]]:
    """The paper adds up over layers, and a loss here is their mean: so its weight is their number."""
    states = [
        {"kind": "embedding", "distance": "mse"},
        {"kind": "hidden", "distance": "mse", "layers": "uniform", "weight": float(case.student)},
        {"kind": "attention", "layers": "uniform", "weight": float(case.student)},
    ]
    return [
        case.stage("layers", epochs=3, answers=0.0, states=states),
        case.stage("answers", epochs=3, temperature=1.0, alpha=1.0),
    ]


def _minilm(case: _Case) -> list[dict[str, Any]]:
    heads = _RELATION_HEADS if not any(width % _RELATION_HEADS for width in case.widths) else None
    relations = {"kind": "relation", "layers": "last", "heads": heads}
    return [
        case.stage("relations", epochs=3, answers=0.0, states=[relations]),
        case.stage("answers", epochs=3, temperature=2.0, alpha=0.7),
    ]


_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "weigh-differences", "Learn where they differ",
        "The teacher's answers and the gold labels, and positions count more where student and teacher differ. The "
        "student begins as layers of the teacher, with its head. With `differences: 0` it is plain distillation.",
        "Ours; the losses are Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Neural Network.",
        _differences,
    ),
    Recipe(
        "distilbert", "DistilBERT: answers and last layer",
        "Soft answers at temperature 2 and the cosine of the last hidden states, on a student that begins as layers of "
        "the teacher, spread evenly. The paper learns masked words from raw text as well: that part does not apply to "
        "fine-tuning, so the gold labels stand in its place with its weight (5 : 2 : 1).",
        "Sanh et al. 2019, DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter.", _distilbert,
    ),
    Recipe(
        "pkd", "PKD: answers and patient layers",
        "Soft answers, and the normalised hidden states of the first sub-word in every layer but the last, each from a "
        "layer of the teacher (PKD-Skip). The student begins as the lowest layers. For words all sub-words are "
        "compared. The paper searches α, temperature and weight; these are from within its ranges.",
        "Sun et al. 2019, Patient Knowledge Distillation for BERT Model Compression.", _pkd, first=True,
    ),
    Recipe(
        "tinybert", "TinyBERT: layers first, then answers",
        "First the layers alone: embeddings, hidden states through a learned map where widths differ, and attention "
        "scores before the softmax. Then the answers alone. The paper begins with a general distillation on raw text "
        "and adds texts to small data; neither is done here. It needs as many heads in the student's layers as in the "
        "teacher's.",
        "Jiao et al. 2020, TinyBERT: Distilling BERT for Natural Language Understanding.", _tinybert,
    ),
    Recipe(
        "minilmv2", "MiniLMv2: last relations, then answers",
        "First how queries, keys and values relate in the last layer, for any width and number of heads. Then answers "
        "and gold labels. The paper learns relations from raw text and fine-tunes with gold labels only; here both "
        "stages read your training rows.",
        "Wang et al. 2021, MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing Pretrained "
        "Transformers.", _minilm,
    ),
)  # fmt: skip


def example(one: Recipe) -> str:
    """Return a recipe for the bundled reviews as a short YAML file; its teacher stands for a run of your own."""
    plan = one.plan(teacher="runs/TEACHER", layers=6, width=384)
    fields = {"name": plan.name, **plan.model_dump(mode="json", exclude_defaults=True)}
    told = textwrap.wrap(
        f"{one.title}. {one.about} Put the folder of your teacher in the place of runs/TEACHER. Source: {one.source}",
        116,
    )
    body = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
    return "".join(f"# {line}\n" for line in told) + body


if __name__ == "__main__":
    for each in _RECIPES:
        target = Path(__file__).parents[2] / "docs" / "plans" / f"{each.name}.yaml"
        target.write_text(example(each), encoding="utf-8")
