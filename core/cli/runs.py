"""The commands that start, watch, steer and export runs."""

from __future__ import annotations

import contextlib
import csv
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from core.cli.output import CANCELLED, DONE, FAILED, JsonOption, answer, console, errors, note, visible
from core.config import kind_of, load_config
from core.errors import ConfigError, RunError
from core.runs.records import RunRecord, Status

if TYPE_CHECKING:
    from core.api import Studio

__all__ = ["follow", "register"]

RunArgument = Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("run")(run)
    app.command("runs")(runs)
    app.command("show")(show)
    app.command("metrics")(metrics)
    app.command("pause")(pause)
    app.command("cancel")(cancel)
    app.command("resume")(resume)
    app.command("delete")(delete)
    app.command("export")(export)


def _studio(*, watch: bool = False) -> Studio:
    from core.api import Studio

    return Studio(watch=watch)


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="The plan, or the config of another kind of run.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the queue of this home.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Run a plan and wait for its end. Ctrl-C cancels it; `bertloom resume ID` goes on from there."""
    with errors(as_json):
        config = load_config(plan, sets or [])
        studio = _studio(watch=True)
        try:
            run_id = studio.runs.submit(config, kind=kind_of(config), now=now)
            if not as_json:
                note(f"Run {run_id} · {config.name}")
            record = follow(studio, run_id, quiet=as_json)
            _finish(studio, record, as_json)
        finally:
            studio.close()


def resume(run_id: RunArgument, as_json: bool = JsonOption) -> None:
    """Resume a paused, cancelled, failed or interrupted run from its last checkpoint and wait for its end."""
    with errors(as_json):
        studio = _studio(watch=True)
        try:
            record = studio.runs.find(run_id)
            studio.runs.resume(record.id)
            _finish(studio, follow(studio, record.id, quiet=as_json), as_json)
        finally:
            studio.close()


def follow(studio: Studio, run_id: str, *, quiet: bool) -> RunRecord:
    """Wait for a run, with a progress bar; Ctrl-C cancels the run and waits for its checkpoint."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[extra]}"),
    )
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("queued", total=None, extra="")

        def show(record: RunRecord) -> None:
            progress = record.progress
            bar.update(
                task, description=str(progress.get("phase") or record.status.value), total=progress.get("total_steps"),
                completed=progress.get("step") or 0, extra=escape(_extra(record)),
            )  # fmt: skip

        try:
            return studio.runs.wait(run_id, on_change=show)
        except KeyboardInterrupt:
            note("Cancelling: the run writes a checkpoint. Press Ctrl-C again to leave it to itself.")
            try:
                with contextlib.suppress(RunError):  # it ended in this very moment
                    studio.runs.cancel(run_id)
                return studio.runs.wait(run_id, timeout=60, on_change=show)
            except (KeyboardInterrupt, RunError):  # pressed again, or it takes very long
                return studio.runs.get(run_id)


def _extra(record: RunRecord) -> str:
    progress, parts = record.progress, []
    if progress.get("eta_s") is not None:
        parts.append(f"{_duration(progress['eta_s'])} left")
    best = progress.get("best")
    if best:
        parts.append(f"best {best['metric']} {best['value']:.4f}")
    return " · ".join(parts)


def _finish(studio: Studio, record: RunRecord, as_json: bool) -> None:
    value: dict[str, Any] = {"id": record.id, "status": record.status.value, "metrics": record.metrics}
    if record.error:
        value["error"] = record.error
    answer(value, as_json=as_json, text=_summary(studio, record))
    ends = {Status.FINISHED: DONE, Status.CANCELLED: CANCELLED, Status.CANCELLING: CANCELLED}
    status = ends.get(record.status, FAILED)
    if status:
        if record.status is Status.FAILED and record.error:
            console.print(
                f"[bold red]Failed[/] {escape(visible(str(record.error.get('message') or record.error.get('what'))))}"
            )
        elif record.status.active:
            note(f"It is left to itself and ends with a checkpoint; `bertloom resume {record.id}` goes on then.")
        elif record.status.resumable:
            note(f"The run is {record.status.value}. `bertloom resume {record.id}` goes on from its last checkpoint.")
        raise typer.Exit(status)


def _summary(studio: Studio, record: RunRecord) -> Table:
    intervals = ((studio.runs.results(record.id) or {}).get("details") or {}).get("test", {}).get("intervals", {})
    table = Table("metric", "value", "95 % interval", box=None, header_style="bold", pad_edge=False)
    for name, value in record.metrics.items():
        low_high = intervals.get(name.removeprefix("test/")) if name.startswith("test/") else None
        table.add_row(
            escape(visible(name)), f"{value:.4f}", f"{low_high[0]:.4f} – {low_high[1]:.4f}" if low_high else ""
        )
    table.title = f"{record.id} · {record.status.value} · {_duration(record.seconds)}"
    table.title_justify = "left"
    return table


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _record_json(record: RunRecord) -> dict[str, Any]:
    keys = (
        "id", "kind", "name", "created", "started", "ended", "seconds", "position", "backend", "progress", "metrics",
        "error", "parent", "has_checkpoint", "has_model", "bytes",
    )  # fmt: skip
    return {**{key: getattr(record, key) for key in keys}, "status": record.status.value, "tags": list(record.tags)}


def runs(
    status: Annotated[str | None, typer.Option(help="Only runs of this status.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    search: Annotated[str | None, typer.Option(help="Only runs whose name holds this.")] = None,
    as_json: bool = JsonOption,
) -> None:
    """List the runs of this home, newest first."""
    with errors(as_json):
        if status is not None and status not in list(Status):
            raise ConfigError(f"There is no status {status!r}.", expected=", ".join(item.value for item in Status))
        studio = _studio()
        try:
            found = studio.runs.list(status=Status(status) if status else None, tag=tag, search=search)
        finally:
            studio.close()
        table = Table(
            Column("id", no_wrap=True, min_width=20),
            "name",
            "status",
            "step",
            "best",
            "created",
            box=None,
            header_style="bold",
            pad_edge=False,
        )
        for record in found:
            progress, best = record.progress, record.progress.get("best")
            step = f"{progress.get('step', 0)}/{progress.get('total_steps') or '?'}" if progress else ""
            created = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M")
            table.add_row(
                record.id,
                escape(visible(record.name)),
                record.status.value,
                step,
                f"{best['value']:.4f}" if best else "",
                created,
            )
        answer(
            {"runs": [_record_json(record) for record in found]},
            as_json=as_json,
            text=table if found else "No run fits." if status or tag or search else "No runs yet.",
        )


def show(run_id: RunArgument, as_json: bool = JsonOption) -> None:
    """Show one run: status, progress, metrics, events, plan."""
    with errors(as_json):
        studio = _studio()
        try:
            record = studio.runs.find(run_id)
            events = studio.runs.events(record.id)
            text = _summary(studio, record)
        finally:
            studio.close()
        happened = [
            {"time": event.time, "step": event.step, "kind": event.kind, "message": event.message, "data": event.data}
            for event in events
        ]
        answer({**_record_json(record), "plan": record.plan, "events": happened}, as_json=as_json, text=text)
        if not as_json:
            for event in events:
                stamp = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
                step = "" if event.step is None else f"step {event.step}"
                answer(
                    None,
                    as_json=False,
                    text=f"{stamp}  {step:>10}  {event.kind:10}  {event.message}",
                )
            if record.error:
                note(str(record.error.get("message") or record.error.get("what")))


def metrics(
    run_id: RunArgument,
    format: Annotated[str, typer.Option(help="csv or json.")] = "csv",
    names: Annotated[list[str] | None, typer.Option("--series", help="Only these series. May be repeated.")] = None,
) -> None:
    """Print every logged point of a run: series, step, value, time."""
    with errors(format == "json"):
        if format not in ("csv", "json"):
            raise ConfigError(f"There is no format {format!r}.", expected="csv or json")
        studio = _studio()
        try:
            record = studio.runs.find(run_id)
            batch = studio.runs.series(record.id, names=names, max_points=0)
        finally:
            studio.close()
        if format == "json":
            answer({"id": record.id, "series": batch.series}, as_json=True)
            return
        writer = csv.writer(sys.stdout)
        writer.writerow(["series", "step", "value", "time"])
        for name, points in batch.series.items():
            for step, value, moment in zip(points["steps"], points["values"], points["times"], strict=True):
                writer.writerow([name, step, "" if value is None else value, moment])


def _ask(verb: str, run_id: str, done: tuple[Status, ...], as_json: bool) -> None:
    with errors(as_json):
        studio = _studio()
        try:
            record = studio.runs.find(run_id)
            getattr(studio.runs, verb)(record.id)
            until = time.monotonic() + 60
            while (record := studio.runs.get(record.id)).status.active and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            studio.close()
        answer(
            {"id": record.id, "status": record.status.value},
            as_json=as_json,
            text=f"{record.id} is {record.status.value}.",
        )
        if record.status not in done:
            raise typer.Exit(FAILED)


def pause(run_id: RunArgument, as_json: bool = JsonOption) -> None:
    """Pause a run: it writes a checkpoint and ends its worker."""
    _ask("pause", run_id, (Status.PAUSED, Status.FINISHED), as_json)


def cancel(run_id: RunArgument, as_json: bool = JsonOption) -> None:
    """Cancel a run: it writes a checkpoint, so that it can be resumed after all."""
    _ask("cancel", run_id, (Status.CANCELLED, Status.FINISHED), as_json)


def delete(run_id: RunArgument, as_json: bool = JsonOption) -> None:
    """Delete a run with its metrics, checkpoints and model."""
    with errors(as_json):
        studio = _studio()
        try:
            record = studio.runs.find(run_id)
            studio.runs.delete(record.id)
        finally:
            studio.close()
        answer({"id": record.id, "deleted": True}, as_json=as_json, text=f"{record.id} is deleted.")


def export(
    run_id: RunArgument,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; it must be empty or new.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export in that folder.")] = False,
    format: Annotated[
        str, typer.Option(help="safetensors (stock transformers loads it), onnx, or onnx-int8 (weights of 8 bits).")
    ] = "safetensors",
    as_json: bool = JsonOption,
) -> None:
    """Export a run's best model, of a joint run RUN/TASK; ONNX is held against the model before the folder appears."""
    from core.models.onnx_folder import FORMATS, read_about

    with errors(as_json):
        if format not in FORMATS:
            raise ConfigError(f"There is no format {format!r}.", where="--format", expected=", ".join(FORMATS))
        studio = _studio()
        try:
            record, task = studio.runs.part(run_id)
            name = f"{record.id}/{task}" if task else record.id
            place = target.expanduser().absolute()
            folder = studio.runs.export(name, place, overwrite=overwrite, format=format)
        finally:
            studio.close()
        found: dict[str, Any] = {"id": name, "folder": str(folder), "format": format}
        lines = [f"Exported to {folder}."]
        if format != "safetensors":
            from core.models.onnx_card import checked

            found["checked"] = read_about(folder)
            lines += [line for line in checked(found["checked"]).splitlines() if line.startswith("- ")]
        answer(found, as_json=as_json, text="\n".join(lines))
