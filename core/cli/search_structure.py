"""``bertloom search run`` and ``search front``: search for an encoder's shape, and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from core.cli.output import CANCELLED, DONE, FAILED, JsonOption, answer, console, errors, note, visible
from core.cli.runs import follow
from core.config import apply_sets
from core.config.files import mapping_from_yaml, read_text, validated
from core.config.structure import StructureConfig
from core.errors import ConfigError
from core.runs.records import Status

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``search``."""
    app.command("run")(run)
    app.command("front")(front)


def run(
    search: Annotated[
        Path | None, typer.Argument(metavar="[SEARCH.yaml]", help="The search; without it the preset as it is.")
    ] = None,
    preset: Annotated[str, typer.Option(help="quick or thorough: what the file does not say.")] = "quick",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the queue of this home.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Search for an encoder's shape and wait for the end. Ctrl-C cancels it; `bertloom resume ID` goes on."""
    from core.api import Studio

    with errors(as_json):
        config = config_of(search, preset, sets or [])
        studio = Studio(watch=True)
        try:
            run_id = studio.structures.submit(config, now=now)
            if not as_json:
                note(f"Run {run_id} · {config.name}")
            record = follow(studio, run_id, quiet=as_json)
            found = studio.structures.front(run_id)
        finally:
            studio.close()
        value: dict[str, Any] = {**found, "metrics": record.metrics}
        if record.error:
            value["error"] = record.error
        answer(value, as_json=as_json, text=_table(found))
        if found["conclusion"]:
            note(found["conclusion"]["words"])
        if record.status is Status.FINISHED:
            raise typer.Exit(DONE)
        if record.error:
            console.print(f"[bold red]Failed[/] {escape(visible(str(record.error.get('message'))))}")
        if record.status.resumable:
            note(f"The search is {record.status.value}. `bertloom resume {record.id}` goes on with what is left.")
        raise typer.Exit(CANCELLED if record.status in (Status.CANCELLED, Status.CANCELLING) else FAILED)


def front(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A search's run: its id, the start of it, or its name.")],
    as_json: bool = JsonOption,
) -> None:
    """Show the Pareto front of a search, also while it goes on: candidates that no other is better than."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            found = studio.structures.front(studio.runs.find(run_id).id)
        finally:
            studio.close()
        answer(found, as_json=as_json, text=_table(found))
        if found["conclusion"]:
            note(found["conclusion"]["words"])


def config_of(file: Path | None, preset: str, sets: list[str]) -> StructureConfig:
    """Return the config that a file describes, over a preset.

    Raises
    ------
    ConfigError
        If there is no such preset, the file is for another kind of run, or a field is wrong (with its line).
    """
    presets = {"quick": StructureConfig.quick, "thorough": StructureConfig.thorough}
    if preset not in presets:
        raise ConfigError(f"There is no preset {preset!r}.", where="--preset", expected=" or ".join(presets))
    where = str(file) if file is not None else f"preset {preset}"
    data, lines = mapping_from_yaml(read_text(file), where) if file is not None else ({}, {})
    if data.get("kind", "structure") != "structure":
        raise ConfigError(
            f"The file describes a run of kind {str(data['kind'])[:40]!r}.", where=f"{where}, key kind",
            expected="structure", advice="`bertloom run` runs files of every kind.",
        )  # fmt: skip
    base = presets[preset]().model_dump(mode="json")
    merged = apply_sets(_merged(base, data), sets)
    found: StructureConfig = validated(StructureConfig, merged, where=where, lines=lines)
    return found


def _merged(base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the base with what a file says in its place, part by part."""
    found = dict(base)
    for key, value in data.items():
        own = found.get(key)
        found[key] = _merged(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return found


def _table(found: dict[str, Any]) -> Table:
    volume = found["hypervolume"]
    table = Table(
        "layers", "widths", "FFN units", "parameters", "ms", "loss", "steps", "score", "source", "run", box=None,
        header_style="bold", pad_edge=False, title_justify="left",
        title=f"{found['id']} · {found['status']} · {found['candidates']} candidates ranked · front of "
        f"{len(found['front'])} by {', '.join(found['objectives'])} · hypervolume "
        + ("–" if volume is None else f"{volume:.4f}"),
    )  # fmt: skip
    for one in found["front"]:
        score, latency = one["score"], one["latency_ms"]
        table.add_row(
            str(one["depth"]), " ".join(map(str, one["widths"])), " ".join(map(str, one["units"])),
            f"{one['parameters']:,}", "–" if latency is None else f"{latency:.2f}",
            "–" if one["loss"] is None else f"{one['loss']:.4f}", str(one["steps"]),
            "–" if score is None else f"{score:.4f}", one["source"], one["run"] or "",
        )  # fmt: skip
    return table
