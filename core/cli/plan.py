"""``bertloom plan …``: writing plans. Checking and drawing them is in :mod:`core.cli.plan_look`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli import plan_look
from core.cli.output import JsonOption, answer, errors
from core.config import Plan, apply_sets, plan_from_dict, plan_to_yaml
from core.errors import BertloomError, ConfigError

__all__ = ["app"]

app = typer.Typer(help="Write, check and draw plans.", no_args_is_help=True)

_SAMPLE_ROWS = 2000
#: A tag a word needs a faster head and more steps: the defaults for texts learn nothing of the tweets in an epoch.
_TAGGING = {"lr": 3e-4, "head_lr": 1e-3, "batch_size": 8}


@app.command("new")
def new(
    data: Annotated[str, typer.Option(help="A bundled sample, a file, or hub:NAME.")] = "reviews",
    task: Annotated[
        str | None, typer.Option(help="classification or tagging.", show_default="what the sample is for")
    ] = None,
    model: Annotated[str, typer.Option(help="bundled, a model folder, or hub:NAME.")] = "bundled",
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    template: Annotated[
        str | None, typer.Option(help="A ready plan of several stages; `bertloom plan templates` lists them.")
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
        plan = new_plan(data, task, model, name, sets or [], template=template)
        answer(plan.model_dump(mode="json"), as_json=as_json, text=plan_to_yaml(plan).rstrip())


@app.command("templates")
def list_templates(as_json: bool = JsonOption) -> None:
    """List the ready plans for `bertloom plan new --template NAME`."""
    from core.config.templates import templates

    with errors(as_json):
        found = [
            {"name": one.name, "title": one.title, "about": one.about, "source": one.source,
             "stages": [stage.name for stage in one.plan().stages]}
            for one in templates()
        ]  # fmt: skip
        table = Table(
            Column("name", no_wrap=True),
            "what it is for",
            box=None,
            header_style="bold",
            pad_edge=False,
            padding=(0, 2, 1, 0),
        )
        for one in found:
            table.add_row(str(one["name"]), f"[bold]{escape(str(one['title']))}.[/] {escape(str(one['about']))}")
        answer({"templates": found}, as_json=as_json, text=table)


def new_plan(
    data: str, task: str | None, model: str, name: str | None, sets: list[str], *, template: str | None = None
) -> Plan:
    """Return a plan with defaults that suit the data, of one stage or from a template."""
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
    fields: dict[str, object] = {
        "name": name or f"{label} {kind}",
        "task": {"kind": kind},
        "data": rows,
        "model": {"source": model},
        "stages": [dict(_TAGGING) if kind == "tagging" else {}],
    }
    if template is not None:
        fields = _from_template(template, kind, rows, model, name)
    return plan_from_dict(apply_sets(fields, sets), where="plan new")


def _from_template(
    template: str, kind: str, rows: dict[str, object], model: str, name: str | None
) -> dict[str, object]:
    from core.config import DataConfig, TaskConfig
    from core.config.files import validated
    from core.config.templates import template as find
    from core.models import describe

    layers = None
    with contextlib.suppress(BertloomError):  # a model that is not at hand has a usual number of layers
        layers = describe(model).layers
    plan = find(template).plan(
        validated(DataConfig, rows, where="--data"), validated(TaskConfig, {"kind": kind}, where="--task"), model,
        layers, name=name,
    )  # fmt: skip
    return plan.model_dump(mode="json")


plan_look.register(app)
