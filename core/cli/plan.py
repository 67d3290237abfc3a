"""``bertloom plan …``: writing plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.output import JsonOption, answer, errors
from core.config import Plan, apply_sets, plan_from_dict, plan_to_yaml
from core.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(help="Write plans.", no_args_is_help=True)

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
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Print a complete plan as YAML: every field, with defaults good enough to start.

    A bundled sample gives 2,000 training rows and one epoch.
    """
    with errors(as_json):
        plan = new_plan(data, task, model, name, sets or [])
        answer(plan.model_dump(mode="json"), as_json=as_json, text=plan_to_yaml(plan).rstrip())


def new_plan(data: str, task: str | None, model: str, name: str | None, sets: list[str]) -> Plan:
    """Return a plan with defaults that suit the data."""
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
    fields: dict[str, object] = {
        "name": name or f"{label} {kind}",
        "task": {"kind": kind},
        "data": {"source": data, **({"train_rows": _SAMPLE_ROWS} if sample else {})},
        "model": {"source": model},
        "stages": [dict(_TAGGING) if kind == "tagging" else {}],
    }
    return plan_from_dict(apply_sets(fields, sets), where="plan new")
