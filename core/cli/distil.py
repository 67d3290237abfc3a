"""``bertloom distil …``: a student beside its teacher, and what is changed and watched while it learns."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from core.cli.distil_report import bench_model, report
from core.cli.output import JsonOption, answer, errors, visible

__all__ = ["app", "register"]

app = typer.Typer(help="Distillation: what students kept of their teachers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add ``bench-model`` to the application."""
    app.command("bench-model")(bench_model)


@app.callback()
def _whole() -> None:
    """Distillation: what students kept of their teachers."""


app.command("report")(report)


@app.command("set")
def set_values(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name; of a joint run ID/TASK.")
    ],
    temperature: Annotated[float | None, typer.Option(help="T of both softmaxes, above 0.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Share of the teachers' answers, 0 to 1.")] = None,
    differences: Annotated[
        float | None, typer.Option("--lambda", help="How much more a position counts where they differ, 0 to 1.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Change a run that trains, from its next step on. The change is logged, and kept when the run is resumed."""
    from core.api import Studio
    from core.runs.joint_tasks import named

    with errors(as_json):
        with Studio(watch=False, warm=False) as studio:
            student = named(*studio.runs.part(run_id))
            wanted = studio.runs.change(student, temperature=temperature, alpha=alpha, differences=differences)
        words = ", ".join(f"{name} {value:g}" for name, value in wanted.items())
        answer({"id": student, "asked": wanted}, as_json=as_json, text=f"Asked for from the next step on: {words}.")


@app.command("pin")
def pin(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name; of a joint run ID/TASK.")
    ],
    text: Annotated[str, typer.Argument(metavar="SENTENCE", help="The sentence, or the question.")],
    context: Annotated[str | None, typer.Option(help="The text that may answer the question.")] = None,
    as_json: bool = JsonOption,
) -> None:
    """Pin a sentence: as the run trains it notes how far student and teacher are apart there, word by word."""
    from core.api import Studio
    from core.runs.joint_tasks import named

    with errors(as_json):
        with Studio(watch=False, warm=False) as studio:
            student = named(*studio.runs.part(run_id))
            made = studio.runs.pin(student, text, pair=context)
        answer({"id": student, "pin": made}, as_json=as_json, text=f"Pinned as {made}.")


@app.command("unpin")
def unpin(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name; of a joint run ID/TASK.")
    ],
    which: Annotated[str, typer.Argument(metavar="PIN", help="As `bertloom distil pins` names it.")],
    as_json: bool = JsonOption,
) -> None:
    """Take a pinned sentence away."""
    from core.api import Studio
    from core.runs.joint_tasks import named

    with errors(as_json):
        with Studio(watch=False, warm=False) as studio:
            student = named(*studio.runs.part(run_id))
            studio.runs.unpin(student, which)
        answer({"id": student, "unpinned": which}, as_json=as_json, text=f"{which} is no longer pinned.")


@app.command("pins")
def pins(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name; of a joint run ID/TASK.")
    ],
    as_json: bool = JsonOption,
) -> None:
    """List pinned sentences with the newest divergence of each word; with --json everything that was seen of them."""
    from core.api import Studio
    from core.runs.joint_tasks import named

    with errors(as_json):
        with Studio(watch=False, warm=False) as studio:
            student = named(*studio.runs.part(run_id))
            found = studio.runs.pins(student)
            seen = _seen(studio, student)
        for one in found:
            one["seen"] = [entry for entry in seen if entry.get("pin") == one["id"]]
        table = Table("pin", "step", "sentence", box=None, header_style="bold", pad_edge=False)
        for one in found:
            strips = [entry for entry in one["seen"] if entry["kind"] == "strip"]
            head = next((entry for entry in one["seen"] if entry["kind"] == "pin"), None)
            words = one["text"]
            if strips and head is not None:
                pairs = zip(head["parts"], strips[-1]["d"], strict=True)
                told = " ".join(f"{part} {value:.2f}".strip() for part, value in pairs)
                words = told if any(head["parts"]) else f"{words} {told}"
            table.add_row(one["id"], str(strips[-1]["step"]) if strips else "–", escape(visible(words)))
        answer({"id": student, "pins": found}, as_json=as_json, text=table if found else "No sentence is pinned.")


def _seen(studio: Any, run_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    batch = studio.runs.watched(run_id)
    entries += batch["entries"]
    while batch["more"]:
        batch = studio.runs.watched(run_id, batch["cursor"], batch["name"])
        entries = [*([] if batch["replace"] else entries), *batch["entries"]]
    return entries
