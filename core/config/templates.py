"""Ready plans: ways of tuning an encoder that people have published, as stages that can be started and changed.

A template is a recipe, not a promise; those that learn from a teacher stand in ``recipes.py``. Plain data without
torch. ``python -m core.config.templates`` writes them into ``docs/plans/``; a test compares.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.config.plan import DataConfig, ModelConfig, Plan, TaskConfig
from core.config.recipes import recipes
from core.errors import ConfigError

__all__ = ["Template", "example", "template", "templates"]

#: Rows of a bundled sample that a template takes, so that it ends within minutes.
_ROWS = 2000
#: Layers of the bundled encoder, and of a usual one.
_BUNDLED_LAYERS, _USUAL_LAYERS = 6, 12


@dataclass(frozen=True)
class _Case:
    """What a recipe is cooked for: rates and passes that suit the task, and the encoder's depth."""

    layers: int
    #: Whether words are answered for (tags, or starts and ends of answers), and not texts.
    words: bool

    @property
    def lr(self) -> float:
        """Rate of an encoder that is trained as a whole."""
        return 3e-4 if self.words else 1e-4

    @property
    def head_lr(self) -> float | None:
        """Rate of the head beside it. A tag a word, or a place, needs a faster head."""
        return 1e-3 if self.words else None

    @property
    def alone(self) -> float:
        """Rate of a head that is trained alone, which bears much more."""
        return 1e-2

    @property
    def passes(self) -> float:
        """What the epochs of a text classifier are multiplied by."""
        return 2.0 if self.words else 1.0

    @property
    def batch(self) -> int:
        """Examples per optimiser step."""
        return 16 if self.words else 32

    def stage(self, name: str, *, epochs: float, **fields: Any) -> dict[str, Any]:
        """Return a stage with what all of them share."""
        return {"name": name, "epochs": epochs * self.passes, "batch_size": self.batch, **fields}

    def head(self, name: str = "head", *, epochs: float = 3.0, **fields: Any) -> dict[str, Any]:
        """Return a stage that trains the head only."""
        return self.stage(name, epochs=epochs, freeze_encoder=True, **({"lr": self.alone} | fields))

    def whole(self, name: str = "all", *, epochs: float = 1.0, **fields: Any) -> dict[str, Any]:
        """Return a stage that trains everything."""
        return self.stage(name, epochs=epochs, **({"lr": self.lr, "head_lr": self.head_lr} | fields))


@dataclass(frozen=True)
class Template:
    """A ready plan.

    Parameters
    ----------
    name
        What the command line calls it.
    title
        A short name for people.
    about
        What it is for, and what to expect.
    source
        Where it comes from.
    stages
        Builds the stages.
    """

    name: str
    title: str
    about: str
    source: str
    stages: Callable[[_Case], list[dict[str, Any]]]

    def plan(
        self,
        data: str | DataConfig = "reviews",
        task: str | TaskConfig = "classification",
        model: str | ModelConfig = "bundled",
        layers: int | None = None,
        *,
        name: str | None = None,
    ) -> Plan:
        """Return the plan for some data, task and model.

        Parameters
        ----------
        data
            A source, of which the first 2,000 training rows are sampled, or a whole config, which is taken as it is.
        task
            ``classification``, ``tagging``, ``question_answering``, ``dependency``, or a whole config.
        model
            A source, or a whole config.
        layers
            Number of the encoder's layers; None: six for the bundled encoder, else twelve.
        name
            Name of the run; None: the template's title and the data's source.

        Raises
        ------
        ConfigError
            If the encoder has too few layers for the recipe.
        """
        rows = data if isinstance(data, DataConfig) else DataConfig(source=data, train_rows=_ROWS)
        what = task if isinstance(task, TaskConfig) else TaskConfig.model_validate({"kind": task})
        encoder = model if isinstance(model, ModelConfig) else ModelConfig(source=model)
        depth = layers or (_BUNDLED_LAYERS if encoder.source == "bundled" else _USUAL_LAYERS)
        if depth < 2:
            raise ConfigError(
                f"The template {self.name} needs an encoder of at least 2 layers, and this one has {depth}.",
                where="model.source",
            )
        return Plan.model_validate(
            {
                "name": (name or f"{self.title}, {rows.source.rpartition('/')[2]}")[:120], "tags": [self.name[:40]],
                "task": what.model_dump(), "data": rows.model_dump(), "model": encoder.model_dump(),
                "stages": self.stages(_Case(depth, what.kind != "classification")),
            }
        )  # fmt: skip


def templates() -> list[Template]:
    """Return all ready plans, in the order in which they are offered."""
    return list(_TEMPLATES)


def template(name: str) -> Template:
    """Return one ready plan.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    for one in _TEMPLATES:
        if one.name == name:
            return one
    raise ConfigError(
        f"There is no template {name!r}.", where="--template",
        expected=", ".join([*(one.name for one in _TEMPLATES), *(one.name for one in recipes())]),
    )  # fmt: skip


def _head_only(case: _Case) -> list[dict[str, Any]]:
    return [case.head(epochs=10)]


def _head_then_all(case: _Case) -> list[dict[str, Any]]:
    return [
        case.head(epochs=5, gate={"reference": "majority"}, on_fail="raise", max_retries=1),
        case.whole(epochs=1, start_from="best:head", head_lr=None, gate={"reference": "start"}, on_fail="rollback"),
    ]


def _gradual(case: _Case) -> list[dict[str, Any]]:
    """Freeze from below, a third less in each stage; each layer's rate is the next higher one's divided by 2.6."""
    third = max(1, round(case.layers / 3))
    shared: dict[str, Any] = {
        "lr": 2 * case.lr, "head_lr": 1e-3, "layer_decay": 1 / 2.6, "schedule": {"name": "linear", "warmup": 0.1},
    }  # fmt: skip
    stages = [case.head(epochs=2)]
    frozen = case.layers - third
    while frozen > 0:
        stages.append(case.stage(f"top {case.layers - frozen}", epochs=0.5, freeze_layers=frozen, **shared))
        frozen -= third
    return [*stages, case.stage("all", epochs=1, **shared)]


def _staged_increase(case: _Case) -> list[dict[str, Any]]:
    return [
        case.whole(
            "rise", epochs=0.5, lr=case.lr / 4, gate={"reference": "start"}, on_pass="repeat", on_fail="rollback",
            lr_factor=2.0, lr_cap=2 * case.lr, max_retries=3, schedule={"name": "constant_with_warmup", "warmup": 0.1},
        ),
        case.whole(
            "settle", epochs=0.5, schedule={"name": "cosine", "warmup": 0}, gate={"reference": "start"},
            on_fail="rollback",
        ),
    ]  # fmt: skip


def _layer_decay(case: _Case) -> list[dict[str, Any]]:
    top = max(1, round(case.layers / 6))
    return [
        case.whole(
            epochs=2,
            layer_decay=0.95,
            reinit_top_n=top,
            schedule={"name": "linear", "warmup": 0.1},
            head_lr=case.head_lr or 5e-4,
        )
    ]


def _range_test(case: _Case) -> list[dict[str, Any]]:
    test = {"lr_min": 1e-6, "lr_max": 0.1, "steps": 60}
    return [
        case.whole("range", epochs=1, kind="range_test", range_test=test, head_lr=None),
        case.whole("train", epochs=1, lr_from="range", max_retries=2, lr_factor=3.0),
    ]


def _search(case: _Case) -> list[dict[str, Any]]:
    space = {
        "lr": {"low": case.lr / 5, "high": case.lr * 5, "log": True},
        "schedule.warmup": {"low": 0.0, "high": 0.3},
        "weight_decay": {"low": 0.0, "high": 0.1, "fixed": 0.01},
        "batch_size": {"choices": [8, 16, 32], "fixed": case.batch},
    }
    return [
        case.whole(
            "search", epochs=0.5, kind="search", eval_every=10,
            search={"space": space, "trials": 6, "startup_trials": 3, "sampler": "tpe", "pruner": "median"},
        ),
        case.whole("train", epochs=1, start_from="last", gate={"reference": "start"}, on_fail="rollback"),
    ]  # fmt: skip


def _classifier_only(case: _Case) -> list[dict[str, Any]]:
    return [case.head("classifier", epochs=1, lr=2e-5)]


def _larger_rate(case: _Case) -> list[dict[str, Any]]:
    return [case.whole(epochs=1, lr=1e-3, head_lr=None, max_retries=2, lr_factor=3.0)]


def _small_then_raise(case: _Case) -> list[dict[str, Any]]:
    gate = {"gate": {"reference": "start"}, "on_fail": "rollback"}
    return [
        case.whole("small", epochs=0.5, lr=2e-5, head_lr=None),
        case.whole("larger", epochs=0.5, lr=1e-4, head_lr=None, **gate),
        case.whole("largest", epochs=0.5, lr=1e-3, head_lr=None, max_retries=1, lr_factor=10.0, **gate),
    ]


_TEMPLATES: tuple[Template, ...] = (
    Template(
        "head-only", "Head only",
        "The encoder stays as it is and only the head is trained, at a rate that a head alone bears. The encoder's "
        "outputs are computed once, so ten epochs take seconds: the baseline that everything else has to beat.",
        "Kumar et al. 2022 call it linear probing.", _head_only,
    ),
    Template(
        "head-then-all", "Head, then all",
        "First the head alone, then everything from there at a small rate (LP-FT): the encoder is not pulled about by "
        "the gradients of a head that knows nothing yet. If the head does not beat the majority, it is trained again "
        "at a higher rate.",
        "Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution.",
        _head_then_all,
    ),
    Template(
        "gradual-unfreezing", "Gradual unfreezing",
        "Layers thaw from the top, a third of them in each stage, and each layer learns 2.6 times more slowly than "
        "the one above it. For small data, where lower layers should keep what they know.",
        "Howard & Ruder 2018, Universal Language Model Fine-tuning (there: one layer an epoch).", _gradual,
    ),
    Template(
        "staged-increase", "Raise in stages, behind gates",
        "A small rate first; each time the score rises, the stage is repeated from there at twice the rate, up to a "
        "cap. When a repeat does not help, the best weights stay, and a last stage lets the rate fall to zero.",
        "Gates and roll-back over the idea of raising the rate in stages; nobody's published recipe.",
        _staged_increase,
    ),
    Template(
        "layer-decay", "Layer decay, re-initialised top",
        "Each layer learns at 0.95 of the rate above it, and the top of the encoder, which has specialised in its "
        "pretraining task, begins anew. Two epochs, because what is new has to be learnt first.",
        "Zhang et al. 2021, Revisiting Few-sample BERT Fine-tuning.", _layer_decay,
    ),
    Template(
        "range-test", "Range test, then train",
        "The rate is raised step by step while the loss is watched; the rate at which it falls most steeply is then "
        "used for training. If that diverges, a guard rolls back and cuts the rate.",
        "Smith 2017, Cyclical Learning Rates for Training Neural Networks.", _range_test,
    ),
    Template(
        "search", "Fix some, search others",
        "Weight decay and batch size are held, learning rate and warm-up are searched in short trials; training goes "
        "on from the best trial's weights.",
        "Akiba et al. 2019, Optuna; Bergstra et al. 2011 for the sampler (TPE).", _search,
    ),
    Template(
        "classifier-at-encoder-rate", "First way: only the classifier, at the encoder's rate",
        "Everything is fixed and only the classifier is tuned, at a rate that suits an encoder (2e-5), as the article "
        "states it. Expect the majority's score: a head alone needs a rate a hundred times larger. The plan is here so "
        "that it can be seen.",
        "First of the article's four ways of tuning, as stated.", _classifier_only,
    ),
    Template(
        "larger-rate", "Second way: a larger rate for everything",
        "All layers at 1e-3, the smaller of the two rates that the article names (the other is 1e-2). If the loss "
        "explodes, a guard rolls back and divides the rate by 3, at most twice.",
        "Second of the article's four ways of tuning.", _larger_rate,
    ),
    Template(
        "small-then-raise", "Third way: small first, then raise",
        "Half an epoch each at 2e-5, 1e-4 and 1e-3. The larger rates stand behind gates: where the score does not "
        "rise, the run rolls back to the best weights it had.",
        "Third of the article's four ways of tuning; the gates are ours.", _small_then_raise,
    ),
)  # fmt: skip


def example(one: Template) -> str:
    """Return a template for the bundled samples as a short YAML file: what differs from the defaults, and why."""
    plan = one.plan()
    fields = {"name": plan.name, **plan.model_dump(mode="json", exclude_defaults=True)}
    told = textwrap.wrap(f"{one.title}. {one.about} Source: {one.source}", 116)
    body = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
    return "".join(f"# {line}\n" for line in told) + body


if __name__ == "__main__":
    for each in _TEMPLATES:
        target = Path(__file__).parents[2] / "docs" / "plans" / f"{each.name}.yaml"
        target.write_text(example(each), encoding="utf-8")
