"""``bertloom distil report`` and ``bertloom bench-model``: what a student kept of its teacher, and what it costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli.output import JsonOption, answer, errors, note, visible

__all__ = ["app", "register"]

app = typer.Typer(help="Distillation: what students kept of their teachers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add ``bench-model`` to the application."""
    app.command("bench-model")(bench_model)


@app.callback()
def _whole() -> None:
    """Distillation: what students kept of their teachers."""


@app.command("report")
def report(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    baseline: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The same student without a teacher.", show_default="the newest such run"),
    ] = None,
    bench: Annotated[bool, typer.Option("--bench", help="Measure the speed of student and teachers too.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Put a student beside its teacher and beside itself without a teacher: score, retention, size, speed."""
    from core.api import Studio
    from core.models.info import describe

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            record = studio.runs.find(run_id)
            other = studio.runs.find(baseline).id if baseline else None
            found = studio.runs.distillation(record.id, other)
            place = str(studio.runs.model_folder(record.id)) if record.has_model else None
        finally:
            studio.close()
        if place:
            found["student"]["parameters"] = describe(place).parameters
        if bench:
            found["student"]["bench"] = _bench(place) if place else None
            for one in found["teachers"]:
                one["bench"] = _bench(one["source"])
        answer(found, as_json=as_json, text=_table(found))
        for words in found["notices"]:
            note(words)


def _bench(source: str) -> dict[str, Any]:
    from core.models.bench import bench_model as measure

    note(f"Measuring {source} …")
    return measure(source, seconds=1.0)


def _table(found: dict[str, Any]) -> Table:
    def row(name: str, one: dict[str, Any], kept: dict[str, Any] | None = None) -> list[str]:
        low_high = one.get("interval")
        share = "" if kept is None else f"{100 * kept['value']:.1f} %"
        if kept is not None and kept["interval"]:
            share += f" ({100 * kept['interval'][0]:.1f} – {100 * kept['interval'][1]:.1f})"
        size = one.get("parameters")
        timings = (one.get("bench") or {}).get("timings", ())
        timing = next((item for item in timings if (item["batch"], item["length"]) == (1, 64)), None)
        return [
            escape(visible(name)), "–" if one.get("score") is None else f"{one['score']:.4f}",
            "" if not low_high else f"{low_high[0]:.4f} – {low_high[1]:.4f}", share,
            "" if size is None else f"{size:,}", "" if timing is None else f"{timing['p50_ms']:.2f}",
        ]  # fmt: skip

    rows = [row(f"teacher {one['name']}", one) for one in found["teachers"]]
    rows.append(row("student", found["student"], found["teachers"][0]["retention"]))
    if found["alone"] is not None:
        rows.append(row("student without a teacher", found["alone"]))
    if found["majority"] is not None:
        rows.append(row("majority", {"score": found["majority"]}))
    heads = ["", f"{found['role']}/{found['metric']}", "95 %", "of the teacher", "parameters", "ms a text of 64"]
    shown = [at for at in range(len(heads)) if at < 2 or any(cells[at] for cells in rows)]
    # numbers that are cut say nothing: the line may become longer than the terminal instead
    widths = [max(len(heads[at]), *(len(cells[at]) for cells in rows)) for at in shown]
    columns = [Column(heads[at], no_wrap=True, min_width=width) for at, width in zip(shown, widths, strict=True)]
    width = sum(widths) + 2 * (len(widths) - 1)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, width=width)
    for cells in rows:
        table.add_row(*(cells[at] for at in shown))
    return table


@app.command("set")
def set_values(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    temperature: Annotated[float | None, typer.Option(help="T of both softmaxes, above 0.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Share of the teachers' answers, 0 to 1.")] = None,
    differences: Annotated[
        float | None, typer.Option("--lambda", help="How much more a position counts where they differ, 0 to 1.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Change a run that trains, from its next step on. The change is logged, and kept when the run is resumed."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False, warm=False)
        try:
            record = studio.runs.find(run_id)
            wanted = studio.runs.change(record.id, temperature=temperature, alpha=alpha, differences=differences)
        finally:
            studio.close()
        words = ", ".join(f"{name} {value:g}" for name, value in wanted.items())
        answer({"id": record.id, "asked": wanted}, as_json=as_json, text=f"Asked for from the next step on: {words}.")


@app.command("pin")
def pin(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    text: Annotated[str, typer.Argument(metavar="SENTENCE", help="The sentence.")],
    as_json: bool = JsonOption,
) -> None:
    """Pin a sentence: as the run trains it notes how far student and teacher are apart there, word by word."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False, warm=False)
        try:
            record = studio.runs.find(run_id)
            made = studio.runs.pin(record.id, text)
        finally:
            studio.close()
        answer({"id": record.id, "pin": made}, as_json=as_json, text=f"Pinned as {made}.")


@app.command("unpin")
def unpin(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    which: Annotated[str, typer.Argument(metavar="PIN", help="As `bertloom distil pins` names it.")],
    as_json: bool = JsonOption,
) -> None:
    """Take a pinned sentence away."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False, warm=False)
        try:
            record = studio.runs.find(run_id)
            studio.runs.unpin(record.id, which)
        finally:
            studio.close()
        answer({"id": record.id, "unpinned": which}, as_json=as_json, text=f"{which} is no longer pinned.")


@app.command("pins")
def pins(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    as_json: bool = JsonOption,
) -> None:
    """List pinned sentences with the newest divergence of each word; with --json everything that was seen of them."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False, warm=False)
        try:
            record = studio.runs.find(run_id)
            found = studio.runs.pins(record.id)
            seen = _seen(studio, record.id)
        finally:
            studio.close()
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
        answer({"id": record.id, "pins": found}, as_json=as_json, text=table if found else "No sentence is pinned.")


def _seen(studio: Any, run_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    batch = studio.runs.watched(run_id)
    entries += batch["entries"]
    while batch["more"]:
        batch = studio.runs.watched(run_id, batch["cursor"], batch["name"])
        entries = [*([] if batch["replace"] else entries), *batch["entries"]]
    return entries


def bench_model(
    source: Annotated[str, typer.Argument(metavar="DIR", help="bundled, a model folder, or hub:NAME.")],
    batches: Annotated[str, typer.Option(help="Texts at once.")] = "1,32",
    lengths: Annotated[str, typer.Option(help="Sub-words of a text.")] = "16,64,256",
    threads: Annotated[int | None, typer.Option(min=1, help="torch threads.", show_default="all cores")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Spent on each combination.")] = 2.0,
    as_json: bool = JsonOption,
) -> None:
    """Measure a model on this machine: parameters, size, latency (p50, p95) and throughput."""
    from core.errors import ConfigError
    from core.models.bench import bench_model as measure

    def numbers(text: str, option: str) -> list[int]:
        try:
            return [int(part) for part in text.split(",") if part.strip()]
        except ValueError:
            raise ConfigError(
                f"{option} are numbers with commas between them, got {text!r}.", where=option, expected="1,32"
            ) from None

    with errors(as_json):
        found = measure(
            source, batches=numbers(batches, "--batches"), lengths=numbers(lengths, "--lengths"), threads=threads,
            seconds=seconds,
        )  # fmt: skip
        table = Table("texts", "sub-words", "p50 ms", "p95 ms", "texts/s", box=None, header_style="bold",
                      pad_edge=False, title_justify="left")  # fmt: skip
        head = "with its head" if found["head"] else "encoder only"
        table.title = (
            f"{found['parameters']:,} parameters ({head}), {found['file_bytes'] / 1e6:.1f} MB, "
            f"{found['threads']} threads, {found['memory_mb']:.0f} MB of memory"
        )
        for one in found["timings"]:
            table.add_row(
                str(one["batch"]), str(one["length"]), f"{one['p50_ms']:.2f}", f"{one['p95_ms']:.2f}",
                f"{one['texts_per_s']:.1f}",
            )  # fmt: skip
        answer(found, as_json=as_json, text=table)
        for length in found["left_out"]:
            note(f"Texts of {length} sub-words were left out: the model does not read them.")
