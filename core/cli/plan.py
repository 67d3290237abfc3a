"""``bertloom plan …``: writing plans. Checking and drawing them is in :mod:`core.cli.plan_look`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli import plan_look
from core.cli.output import JsonOption, answer, errors
from core.config import Plan, apply_sets, plan_from_dict, plan_to_yaml
from core.errors import BertloomError, ConfigError

if TYPE_CHECKING:
    from core.config.recipes import Recipe
    from core.config.templates import Template

__all__ = ["app"]

app = typer.Typer(help="Write, check and draw plans.", no_args_is_help=True)

_SAMPLE_ROWS = 2000
#: A tag a word needs a faster head and more steps: the defaults for texts learn nothing of the tweets in an epoch.
_STAGES: dict[str, dict[str, float]] = {
    "tagging": {"lr": 3e-4, "head_lr": 1e-3, "batch_size": 8},
    "question_answering": {"lr": 3e-4, "head_lr": 1e-3, "batch_size": 8, "epochs": 2},
    "dependency": {"lr": 3e-4, "head_lr": 3e-3, "batch_size": 8, "epochs": 3},
}


@app.command("new")
def new(
    data: Annotated[str, typer.Option(help="A bundled sample, a file, or hub:NAME.")] = "reviews",
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, tagging, question_answering or dependency.", show_default="what the sample is for"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="bundled, a model folder, or hub:NAME.", show_default="bundled")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    template: Annotated[
        str | None, typer.Option(help="A ready plan of several stages; `bertloom plan templates` lists them.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="For a ready plan that learns from a teacher: a run's id, a folder of a trained model, or hub:NAME. "
            "Without --model the student begins as layers of it."
        ),
    ] = None,
    keep_layers: Annotated[
        int | None, typer.Option(min=1, help="Keep so many of the encoder's layers.", show_default="all")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Print a complete plan as YAML: every field, with defaults good enough to start.

    A bundled sample gives 2,000 training rows and one epoch.
    """
    with errors(as_json):
        plan = new_plan(
            data, task, model, name, sets or [], template=template, teacher=teacher, keep_layers=keep_layers
        )
        answer(plan.model_dump(mode="json"), as_json=as_json, text=plan_to_yaml(plan).rstrip())


@app.command("templates")
def list_templates(as_json: bool = JsonOption) -> None:
    """List the ready plans for `bertloom plan new --template NAME`."""
    from core.config.recipes import recipes
    from core.config.templates import templates

    with errors(as_json):
        found = [_listed(one, one.plan(), teacher=False) for one in templates()]
        found += [_listed(one, one.plan(teacher="TEACHER"), teacher=True) for one in recipes()]
        table = Table(
            Column("name", no_wrap=True),
            "what it is for",
            box=None,
            header_style="bold",
            pad_edge=False,
            padding=(0, 2, 1, 0),
        )
        for one in found:
            needs = " Needs --teacher." if one["teacher"] else ""
            words = f"[bold]{escape(str(one['title']))}.[/] {escape(str(one['about']))}{needs}"
            table.add_row(str(one["name"]), words)
        answer({"templates": found}, as_json=as_json, text=table)


def _listed(one: Template | Recipe, plan: Plan, *, teacher: bool) -> dict[str, object]:
    stages = [stage.name for stage in plan.stages]
    return {
        "name": one.name, "title": one.title, "about": one.about, "source": one.source, "stages": stages,
        "teacher": teacher,
    }  # fmt: skip


def new_plan(
    data: str, task: str | None, model: str | None, name: str | None, sets: list[str], *, template: str | None = None,
    teacher: str | None = None, keep_layers: int | None = None,
) -> Plan:  # fmt: skip
    """Return a plan with defaults that suit the data, of one stage, from a template, or from a recipe."""
    from core.config.recipes import recipe, recipes
    from core.data.samples import samples

    known = {item.name: item for item in samples()}
    sample = known.get(data)
    if sample and not sample.tasks:
        raise ConfigError(
            f"The sample {data} has no labels: nothing can be learnt from it by a task.", where="--data",
            expected=", ".join(name for name, item in known.items() if item.tasks),
            advice="It serves as a corpus of word graphs: `bertloom graph build --corpus " + data + "`.",
        )  # fmt: skip
    kind = task or (sample.tasks[0] if sample and sample.tasks else "classification")
    label = data if sample or data.startswith("hub:") else Path(data).stem
    rows = {"source": data, **({"train_rows": _SAMPLE_ROWS} if sample else {})}
    what: dict[str, object] = {"kind": kind, **(sample.settings if sample and kind in sample.tasks else {})}
    fields: dict[str, object] = {
        "name": name or f"{label} {kind}",
        "task": what,
        "data": rows,
        "model": {"source": model or "bundled", "keep_layers": keep_layers},
        "stages": [dict(_STAGES.get(kind, {}))],
    }
    found = recipe(template) if template is not None else None
    if teacher is not None and found is None:
        raise ConfigError(
            "--teacher belongs to a ready plan that learns from one.", where="--template",
            expected=", ".join(one.name for one in recipes()),
        )  # fmt: skip
    if found is not None:
        fields = _from_recipe(found, what, rows, model, name, teacher or "", keep_layers)
    elif template is not None:
        fields = _from_template(template, what, rows, {"source": model or "bundled", "keep_layers": keep_layers}, name)
    return plan_from_dict(apply_sets(fields, sets), where="plan new")


def _from_template(
    template: str, task: dict[str, object], rows: dict[str, object], model: dict[str, object], name: str | None
) -> dict[str, object]:
    from core.config import DataConfig, ModelConfig, TaskConfig
    from core.config.files import validated
    from core.config.templates import template as find
    from core.models import describe

    encoder = validated(ModelConfig, model, where="--model")
    layers = encoder.keep_layers if isinstance(encoder.keep_layers, int) else None
    with contextlib.suppress(BertloomError):  # a model that is not at hand has a usual number of layers
        layers = layers or describe(encoder.source).layers
    plan = find(template).plan(
        validated(DataConfig, rows, where="--data"), validated(TaskConfig, task, where="--task"), encoder,
        layers, name=name,
    )  # fmt: skip
    return plan.model_dump(mode="json")


def _from_recipe(
    found: Recipe, task: dict[str, object], rows: dict[str, object], model: str | None, name: str | None, teacher: str,
    keep_layers: int | None,
) -> dict[str, object]:  # fmt: skip
    from core.config import DataConfig, TaskConfig
    from core.config.files import validated

    sizes = _sizes(teacher, "--teacher") if teacher.strip() else None
    student = None if model is None else _sizes(model, "--model")
    plan = found.plan(
        validated(DataConfig, rows, where="--data"), validated(TaskConfig, task, where="--task"),
        teacher=teacher, layers=sizes and sizes[0], width=sizes and sizes[1], keep_layers=keep_layers, model=model,
        student=student, name=name,
    )  # fmt: skip
    return plan.model_dump(mode="json")


def _sizes(source: str, where: str) -> tuple[int, int] | None:
    """Return layers and width of a model; None of one on the hub that is not at hand, or whose config is silent."""
    from core.models import describe
    from core.runs.sources import absolute_model
    from core.settings import home

    try:
        told = describe(absolute_model(source, home()) or source)
    except BertloomError as error:
        if source.startswith("hub:"):
            return None
        raise ConfigError(
            error.what, where=f"{where}: {error.where or source}", expected="a run's id, a model folder, or hub:NAME",
            advice=error.advice,
        ) from error  # fmt: skip
    return None if told.layers is None or told.hidden_size is None else (told.layers, told.hidden_size)


plan_look.register(app)
