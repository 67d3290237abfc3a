"""``bertloom decisions ID``: what a run decided, by which rule, on which evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from core.cli.output import JsonOption, answer, errors, visible

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("decisions")(decisions)


def decisions(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    stage: Annotated[str | None, typer.Option(help="Only decisions of this stage.")] = None,
    as_json: bool = JsonOption,
) -> None:
    """List what a run decided: gates, guards, raised and cut rates, roll-backs, each with its evidence."""
    from core.api import Studio
    from core.runs.decisions import action_words, rule_words

    with errors(as_json):
        studio = Studio(watch=False, warm=False)
        try:
            record = studio.runs.find(run_id)
            found = [one for one in studio.runs.decisions(record.id) if stage is None or one["stage"] == stage]
        finally:
            studio.close()
        table = Table("when", "step", "stage", "attempt", "rule", "evidence", "action", "rates ×", box=None,
                      header_style="bold", pad_edge=False)  # fmt: skip
        for one in found:
            scale = one["lr_scale"]
            cells = (
                datetime.fromtimestamp(one["time"]).strftime("%H:%M:%S"), one["step"], one["stage"], one["attempt"],
                rule_words(one["rule"]), one["words"], action_words(one["action"]),
                "" if scale in (None, 1.0) else f"{scale:.3g}",
            )  # fmt: skip
            table.add_row(*("" if cell is None else escape(visible(str(cell))) for cell in cells))
        answer({"id": record.id, "decisions": found}, as_json=as_json,
               text=table if found else "Nothing was decided in this run.")  # fmt: skip
