"""``bertloom graph export``: a graph for another program, or a view of it as one page."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.cli.graph_input import FileArgument, FromOption, ToOption, layer_of, load, query_of
from core.cli.output import JsonOption, answer, errors, note, visible
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["export"]


def export(
    file: FileArgument,
    target: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="File to write.", show_default="standard output")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="graphml, gexf, json, csv (edges; words too in a .zip) or html.", show_default="by the name's ending"
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="A layer, or all (not for html).", show_default="the middle one")
    ] = None,
    word: Annotated[str | None, typer.Option(help="html: the neighbourhood of this word.")] = None,
    source: FromOption = None,
    target_word: ToOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, max=5000, help="html: most words that are drawn.", show_default="500; by a path 150, by a word 60"
        ),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="html: a dark page.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Write a graph for another program, or a view of it as one stand-alone page (html)."""
    with errors(as_json):
        if target is None and (as_json or format is None):
            raise ConfigError(
                "Without a file to write, the graph goes to standard output: that needs --format, and leaves no room "
                "for --json.", where="OUT", expected="a file, or --format alone",
            )  # fmt: skip
        suffix = target.suffix if target is not None else ""
        kind = format or {".htm": "html", ".zip": "csv"}.get(suffix, suffix.removeprefix("."))
        graph = load(file)
        with _place(target) as place:
            if kind != "html":
                from core.graph.export import export_graph

                chosen: int | Literal["all"] | None = "all" if layer == "all" else layer_of(layer)
                notices = export_graph(graph, place, kind, layer=chosen)
            else:
                view = _view(graph, layer_of(layer), word, source, target_word, limit)
                from core.render.graph_page import graph_page
                from core.runs.folder import write_text

                write_text(place, graph_page(view, title=visible(file.stem), mode="dark" if dark else "light"))
                notices = view["notices"]
        if not as_json:
            for notice in notices:
                note(notice)
        if target is not None:
            answer(
                {"file": str(target), "format": kind, "notices": notices}, as_json=as_json,
                text=f"Exported to {target}.",
            )  # fmt: skip


@contextmanager
def _place(target: Path | None) -> Iterator[Path]:
    """Give the file to write; without one, what was written goes to standard output at the end."""
    if target is not None:
        yield target
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "graph"
        yield place
        with place.open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _view(
    graph: WordGraph, layer: int | None, word: str | None, source: str | None, target: str | None, limit: int | None
) -> dict[str, Any]:
    from core.graph.mixing import mix
    from core.graph.query import find_paths, mixed_for
    from core.graph.view import neighbourhood, overview, path_view

    if (source is None) != (target is None) or (word is not None and source is not None):
        raise ConfigError("The view is not clear.", expected="--word, or --from and --to, or neither")
    if word is not None:
        return neighbourhood(graph, mix(graph, layer), word, limit or 60)
    if source is None:
        return overview(graph, mix(graph, layer), limit or 500)
    query = query_of({"from": source, "to": target, "layer": layer})
    found = find_paths(graph, query)
    if not found["paths"]:
        raise ConfigError(str(found["reason"]), where="--from and --to", expected="two words that are joined")
    return path_view(graph, mixed_for(graph, query), found["paths"], limit=limit or 150)
