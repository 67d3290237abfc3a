"""``bertloom findings ID``: what happened in a run and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from core.cli.output import JsonOption, answer, errors, visible
from core.config import plan_to_yaml
from core.errors import ConfigError

__all__ = ["register"]

_LOOKS = {"problem": "bold red", "warning": "yellow", "note": "cyan"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("findings")(findings)


def findings(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    remedy: Annotated[
        str | None,
        typer.Option(metavar="CODE[:N]", help="Print the new plan of a finding's N-th remedy (1 is the first)."),
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Say what happened in a training run, and what to do about it; also while it runs."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            record = studio.runs.find(run_id)
            plan = studio.runs.plan(record.id)
            found = studio.runs.findings(record.id)
        finally:
            studio.close()
        if remedy is not None:
            code, _, number = remedy.partition(":")
            known = {one.code: one for one in found}
            place = int(number) if number.isdigit() else 1
            if code not in known or not 1 <= place <= len(known[code].remedies):
                offered = [f"{one.code}:{at + 1}" for one in found for at in range(len(one.remedies))]
                raise ConfigError(
                    f"Run {record.id} has no remedy {remedy!r}.", where="--remedy",
                    expected=", ".join(offered) or "nothing: there is none",
                )  # fmt: skip
            new = known[code].remedies[place - 1].plan(plan)
            answer(new.model_dump(mode="json"), as_json=as_json, text=plan_to_yaml(new).rstrip())
            return
        lines: list[Text | Padding] = []
        for one in found:
            lines.append(Text.assemble((f"{one.severity:8}", _LOOKS[one.severity]), visible(one.message)))
            lines.append(Padding(Text(visible(one.advice), style="dim"), (0, 0, 0, 8)))
            for at, cure in enumerate(one.remedies, start=1):
                lines.append(Padding(Text(f"{one.code}:{at}  {cure.label}"), (0, 0, 0, 8)))
        answer(
            {"id": record.id, "status": record.status.value, "findings": [one.as_dict(plan) for one in found]},
            as_json=as_json,
            text=Group(*lines) if found else "Nothing stands out in this run.",
        )
