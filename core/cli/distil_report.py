"""``bertloom distil report`` and ``bertloom bench-model``: what a student kept of its teacher, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli.output import JsonOption, answer, errors, note, visible

__all__ = ["bench_model", "report"]


def report(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name; of a joint run ID/TASK.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The same student without a teacher.", show_default="the newest such run"),
    ] = None,
    bench: Annotated[
        bool, typer.Option("--bench", help="Measure speed and memory of everything in it now, and keep the numbers.")
    ] = False,
    as_json: bool = JsonOption,
) -> None:
    """Put a student beside its teacher and beside itself without a teacher: score, retention, size, speed."""
    from core.api import Studio
    from core.runs.joint_tasks import named

    with errors(as_json):
        with Studio(watch=False, warm=False) as studio:
            student = named(*studio.runs.part(run_id))
            other = studio.runs.find(baseline).id if baseline else None
            if bench:
                studio.students.measure_now(student, baseline=other, seconds=1.0, tell=_telling())
            found = studio.students.report(student, other)
        answer(found, as_json=as_json, text=_table(found))
        if found["speed"] is not None:
            machine = found["speed"]["machine"] or {}
            note(
                f"Speed: {machine.get('processor')}, {machine.get('cores')} cores, {found['speed']['threads']} threads."
            )
        for words in found["notices"]:
            note(words)


def _telling() -> Callable[[float, str], None]:
    said: list[str] = []

    def tell(share: float, doing: str) -> None:
        words = doing.partition(",")[0] if " × " in doing else doing
        if said[-1:] != [words]:
            said.append(words)
            note(f"{100 * share:3.0f} %  {words}")

    return tell


def _table(found: Mapping[str, Any]) -> Table:
    def row(name: str, one: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> list[str]:
        low_high = one.get("interval")
        share = "" if kept is None else f"{100 * kept['value']:.1f} %"
        if kept is not None and kept["interval"]:
            share += f" ({100 * kept['interval'][0]:.1f} – {100 * kept['interval'][1]:.1f})"
        size, bench = one.get("parameters"), one.get("bench") or {}
        timing = next((item for item in bench.get("timings", ()) if (item["batch"], item["length"]) == (1, 64)), None)
        return [
            escape(visible(name)), "–" if one.get("score") is None else f"{one['score']:.4f}",
            "" if not low_high else f"{low_high[0]:.4f} – {low_high[1]:.4f}", share,
            "" if size is None else f"{size:,}", "" if not bench else f"{bench['file_bytes'] / 1e6:.1f}",
            "" if timing is None else f"{timing['p50_ms']:.2f}", "" if not bench else f"{bench['memory_mb']:.0f}",
        ]  # fmt: skip

    rows = [row(f"teacher {one['name']}", one) for one in found["teachers"]]
    rows.append(row("student", found["student"], found["teachers"][0]["retention"]))
    rows += [row(f"student as {one['format']}", one) for one in found["exports"] if one["bench"]]
    if found["alone"] is not None:
        rows.append(row("student without a teacher", found["alone"]))
    if found["majority"] is not None:
        without = "majority" if found["metric"] in ("accuracy", "micro_f1") else "without a model"
        rows.append(row(without, {"score": found["majority"]}))
    heads = [
        "", f"{found['role']}/{found['metric']}", "95 %", "of the teacher", "parameters", "MB on disk",
        "ms a text of 64", "MB of memory",
    ]  # fmt: skip
    shown = [at for at in range(len(heads)) if at < 2 or any(cells[at] for cells in rows)]
    # numbers that are cut say nothing: the line may become longer than the terminal instead
    widths = [max(len(heads[at]), *(len(cells[at]) for cells in rows)) for at in shown]
    columns = [Column(heads[at], no_wrap=True, min_width=width) for at, width in zip(shown, widths, strict=True)]
    width = sum(widths) + 2 * (len(widths) - 1)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, width=width)
    for cells in rows:
        table.add_row(*(cells[at] for at in shown))
    return table


def bench_model(
    source: Annotated[str, typer.Argument(metavar="DIR", help="bundled, a model folder, an ONNX export, or hub:NAME.")],
    batches: Annotated[str, typer.Option(help="Texts at once.")] = "1,32",
    lengths: Annotated[str, typer.Option(help="Sub-words of a text.")] = "16,64,256",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="all cores")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Spent on each combination.")] = 2.0,
    as_json: bool = JsonOption,
) -> None:
    """Measure a model on this machine: parameters, size, latency (p50, p95), throughput and memory."""
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
            f"{found['format']}, {found['parameters']:,} parameters ({head}), {found['file_bytes'] / 1e6:.1f} MB; "
            f"{escape(visible(found['machine']['processor']))}, {found['threads']} threads, at most "
            f"{found['memory_mb']:.0f} MB of memory, {found['libraries_mb']:.0f} of them before the model"
        )
        for one in found["timings"]:
            table.add_row(
                str(one["batch"]), str(one["length"]), f"{one['p50_ms']:.2f}", f"{one['p95_ms']:.2f}",
                f"{one['texts_per_s']:.1f}",
            )  # fmt: skip
        answer(found, as_json=as_json, text=table)
        for length in found["left_out"]:
            note(f"Texts of {length} sub-words were left out: the model does not read them.")
