"""The commands about searches: what they have tried, and what is measured before shapes are searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli import search_structure
from core.cli.output import JsonOption, answer, errors, note, visible
from core.errors import RunError

__all__ = ["app"]

app = typer.Typer(name="search", help="Searches: trials of runs, shapes of encoders.", no_args_is_help=True)
search_structure.register(app)


@app.command("stats")
def stats(
    model: Annotated[str, typer.Option(help="Parent: bundled, a model folder, or hub:NAME.")] = "bundled",
    corpus: Annotated[str, typer.Option(help="A bundled sample, a file, or hub:NAME.")] = "reviews",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Measure a parent's layers: likeness, syntax, and how many directions their word graphs need."""
    from core.config import apply_sets
    from core.config.files import validated
    from core.config.statistics import StatisticsConfig
    from core.settings import home

    with errors(as_json):
        data = apply_sets({"model": {"source": model}, "corpus": {"source": corpus, "max_sentences": 2000}}, sets or [])
        config = validated(StatisticsConfig, data, where="search stats")
        from core.search.statistics_cache import cached_statistics

        def phase(name: str) -> Callable[[int, int], None]:
            note(f"{name} …")
            return lambda done, total: None

        found = cached_statistics(config, home().ensure().cache, phase=phase)
        del found["draws"]  # a hundred curves a layer; the intervals say what they say
        answer(found, as_json=as_json, text=_layers(found))
        for notice in found["notices"]:
            note(notice)


def _layers(found: dict[str, Any]) -> Table:
    depth = found["depth"]
    table = Table(
        "layer", "CKA below", "UUAS", "d*", "95 %", box=None, header_style="bold", pad_edge=False, title_justify="left",
        title=f"{found['words']:,} words, {found['sentences']:,} sentences · {depth['fewest']} segments suffice; "
        f"depths {depth['lowest']} to {depth['highest']} are worth trying",
    )  # fmt: skip
    for entry in found["layers"]:
        likeness, uuas = (entry.get(key) for key in ("cka_below", "uuas"))
        table.add_row(
            str(entry["layer"]), "–" if likeness is None else f"{likeness:.3f}",
            "–" if uuas is None else f"{uuas:.3f}", f"{entry['least']} of {entry['width']}",
            f"{entry['least_low']} – {entry['least_high']}",
        )  # fmt: skip
    return table


@app.command()
def history(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    as_json: bool = JsonOption,
) -> None:
    """Show every trial of a run's searches: values, scores, the best, and what the range tests suggest."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            record = studio.runs.find(run_id)
            found = studio.runs.searches(record.id)
            tests = studio.runs.range_tests(record.id)
        finally:
            studio.close()
        if not found and not tests:
            raise RunError(
                f"The run {record.name!r} holds no search and no range test.", where=f"run {record.id}",
                expected="a plan with a stage of kind search or range_test",
            )  # fmt: skip
        suggested = [
            {"stage": test["stage"], "suggestion": test["suggestion"],
             "groups": [{key: value for key, value in group.items() if key not in _CURVE} for group in test["groups"]]}
            for test in tests
        ]  # fmt: skip
        value = {"id": record.id, "searches": found, "range_tests": suggested}
        if as_json:
            answer(value, as_json=True)
            return
        for test in suggested:
            for group in test["groups"]:
                note(f"{test['stage']} ({group['group']}): {group.get('reason', 'not measured yet')}")
        for search in found:
            answer(value, as_json=False, text=_table(search))
            if search["ended"]:
                note(f"Ended: {search['ended']}.")


#: Parts of a range test that are a curve; the series hold them.
_CURVE = ("rates", "at", "losses", "smoothed")


def _table(search: dict[str, Any]) -> Table:
    names = [one["metric"] for one in search["objectives"]]
    fields = [one["key"] for one in search["space"]]
    rows = []
    for trial in search["trials"]:
        scores = ["" if trial["scores"] is None else f"{score:.4f}" for score in trial["scores"] or [0.0] * len(names)]
        values = [_value(trial["values"].get(key)) for key in fields]
        run = next((one for one in trial["runs"] if one), "")
        state = trial["state"] if trial["repeats"] is None else f"as {trial['repeats'] + 1}"
        if trial["number"] == search["best"]:
            state = "best"
        elif len(names) > 1 and trial["number"] in search["front"]:
            state = "front"
        rows.append([str(trial["number"] + 1), state, *scores, *values, f"{trial['seconds']:.1f}", run])
    heads = ["trial", "state", *names, *fields, "seconds", "run"]
    # numbers and ids that are cut say nothing: the line may become longer than the terminal instead
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    columns = [Column(escape(head), no_wrap=True, min_width=width) for head, width in zip(heads, widths, strict=True)]
    width = sum(widths) + 2 * (len(widths) - 1)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, width=width)
    for row in rows:
        table.add_row(*row)
    table.title = escape(
        visible(f"{search['stage']}: {len(search['trials'])} of {search['wanted']} trials, sampler {search['sampler']}")
    )
    table.title_justify = "left"
    return table


def _value(value: Any) -> str:
    if value is None:
        return "empty"
    return f"{value:.3g}" if isinstance(value, float) else escape(visible(str(value)))
