"""``bertloom graph …``: building word graphs, asking them for paths, probing, predicting links, exporting."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.cli.graph_text import links_table, paths_text, probe_table, stats_text
from core.cli.output import JsonOption, answer, console, errors, note, visible
from core.config import GraphConfig, LinkConfig, ProbeConfig, apply_sets, config_from_dict
from core.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["app"]

app = typer.Typer(help="Word graphs: how words relate inside an encoder and a corpus.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A graph that `bertloom graph build` wrote.")]
CorpusOption = Annotated[
    str,
    typer.Option(help="A bundled sample, a file (text, CSV, TSV, JSON lines, Parquet, CoNLL-U), or hub:NAME."),
]
ModelOption = Annotated[str, typer.Option(help="bundled, a model folder, or hub:NAME.")]
LayersOption = Annotated[str, typer.Option(help="all, or numbers such as 0,3,6 (0: embeddings).")]
LanguageOption = Annotated[str | None, typer.Option(help="en is parsed, zh is segmented.", show_default="auto")]
ColumnOption = Annotated[str | None, typer.Option(help="Column with the text.", show_default="the usual names")]
SentencesOption = Annotated[
    int | None, typer.Option(min=1, help="Most sentences, drawn evenly from the whole corpus.", show_default="2000")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change any field of the config: key.path=value. May be repeated.")
]
LayerOption = Annotated[int | None, typer.Option(min=0, help="Layer.", show_default="the middle one")]
FromOption = Annotated[str | None, typer.Option("--from", help="Word that paths start from.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Word that they lead to.")]


@app.command("build")
def build(
    out: Annotated[Path, typer.Option(help="File to write.")],
    corpus: CorpusOption = "reviews",
    model: ModelOption = "bundled",
    layers: LayersOption = "all",
    edges: Annotated[
        str | None, typer.Option(help="Edge types: dep, sim, cooc, attn.", show_default="dep,sim,cooc")
    ] = None,
    unit: Annotated[str, typer.Option(help="What a node is: word, subword or character.")] = "word",
    language: LanguageOption = None,
    min_count: Annotated[
        int | None,
        typer.Option(min=1, help="Leave out rarer words.", show_default="1 below 1,000 sentences, otherwise 3"),
    ] = None,
    max_sentences: SentencesOption = None,
    column: ColumnOption = None,
    stop_words: Annotated[bool, typer.Option("--stop-words/--no-stop-words", help="Keep stop-words as nodes.")] = True,
    vocabulary: Annotated[
        bool, typer.Option("--vocabulary", help="Take the encoder's own pieces as words, without a corpus: sim only.")
    ] = False,
    probe: Annotated[
        str | None, typer.Option(help="Take dep edges from a trained probe: its file, or a run's id.")
    ] = None,
    seed: SeedOption = 0,
    sets: SetOption = None,
    as_json: bool = JsonOption,
) -> None:
    """Build a word graph from a corpus and an encoder, and write it into one file."""
    with errors(as_json):
        data: dict[str, Any] = {
            "corpus": {**_corpus(corpus, language, max_sentences, column, seed), "unit": unit, "min_count": min_count,
                       "stop_words": stop_words},
            "model": {"source": model}, "layers": _layers(layers),
            "edges": _names(edges or ("sim" if vocabulary else "dep,sim,cooc"), "edges"),
            "vectors": {"mode": "vocabulary" if vocabulary else "contexts"}, "runtime": {"seed": seed},
        }  # fmt: skip
        if probe is not None:
            data |= {"probe_run": probe, "settings": {"dep": {"source": "probe"}}}
        config = _config("graph", data, sets)
        assert isinstance(config, GraphConfig)
        _can_write(out)
        _prepare(config)
        from core.graph.build import build_graph
        from core.graph.file import save_graph
        from core.graph.stats import graph_stats

        with _bar(as_json) as progress, _memory(bool({"sim", "attn"} & set(config.edges))):
            graph = build_graph(config, cache=_cache(), progress=progress)
        save_graph(graph, out)
        stats = graph_stats(graph)
        if not as_json:
            for notice in stats["notices"]:
                note(notice)
        answer({"file": str(out), **stats}, as_json=as_json, text=f"{out}\n{stats_text(stats)}")


@app.command("path")
def path(
    file: FileArgument,
    source: Annotated[str, typer.Option("--from", help="Word that the paths start from.")],
    target: Annotated[str, typer.Option("--to", help="Word that they lead to.")],
    k: Annotated[int, typer.Option(min=1, max=50, help="How many paths, the shortest first.")] = 1,
    min_between: Annotated[int, typer.Option(min=0, max=10, help="Fewest words between the two ends.")] = 0,
    avoid: Annotated[list[str] | None, typer.Option(help="A word that no path may pass. May be repeated.")] = None,
    through: Annotated[
        list[str] | None, typer.Option(help="A word that every path must pass. May be repeated.")
    ] = None,
    layer: LayerOption = None,
    every_layer: Annotated[bool, typer.Option("--every-layer", help="Ask in every layer.")] = False,
    hub_penalty: Annotated[float, typer.Option(min=0, help="Keeps paths off words with many neighbours.")] = 0.0,
    undirected: Annotated[bool, typer.Option("--undirected", help="Walk edges both ways; no probabilities.")] = False,
    across_layers: Annotated[bool, typer.Option("--across-layers", help="Let paths change the layer.")] = False,
    weights: Annotated[
        str | None, typer.Option(help="Weights of the edge types, for example dep=1,sim=0.5.", show_default="all alike")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Find the shortest paths between two words, and say what each hop consists of."""
    with errors(as_json):
        from core.graph.query import by_layer, find_paths

        graph = _load(file)
        if every_layer and layer is not None:
            raise ConfigError("--layer and --every-layer exclude each other.", expected="one of them")
        query = _query(
            {"from": source, "to": target, "k": k, "min_between": min_between, "avoid": avoid or [],
             "through": through or [], "layer": layer, "hub_penalty": hub_penalty, "directed": not undirected,
             "across_layers": across_layers, "weights": _weights(weights)}
        )  # fmt: skip
        if every_layer:
            rows = by_layer(graph, query)
            answer({"layers": rows}, as_json=as_json, text="\n".join(
                f"layer {row['layer']}{' · another path' if row['changed'] else ''}\n{paths_text(row)}" for row in rows
            ))  # fmt: skip
            return
        found = find_paths(graph, query)
        answer(found, as_json=as_json, text=paths_text(found))
        if not as_json:
            for notice in found["notices"]:
                note(notice)


@app.command("stats")
def stats(file: FileArgument, layer: LayerOption = None, as_json: bool = JsonOption) -> None:
    """Count a graph's words, edges, neighbours and components."""
    with errors(as_json):
        from core.graph.mixing import check_layer
        from core.graph.stats import graph_stats

        graph = _load(file)
        found = graph_stats(graph, check_layer(graph, layer))
        answer(found, as_json=as_json, text=stats_text(found))
        if not as_json:
            for notice in found["notices"]:
                note(notice)


@app.command("probe")
def probe(
    corpus: CorpusOption = "reviews",
    model: ModelOption = "bundled",
    layers: LayersOption = "all",
    rank: Annotated[int, typer.Option(min=1, max=1024, help="Rows of the projection.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, max=200, help="Most passes over the training sentences.")] = 10,
    random_encoder: Annotated[
        bool, typer.Option("--random/--no-random", help="Also probe the encoder with random weights.")
    ] = True,
    language: LanguageOption = None,
    max_sentences: SentencesOption = None,
    column: ColumnOption = None,
    seed: SeedOption = 0,
    sets: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="File for the trained probes (.npz).")] = None,
    as_json: bool = JsonOption,
) -> None:
    """Train and score a structural probe at every layer, beside its baselines."""
    with errors(as_json):
        data = {
            "corpus": _corpus(corpus, language, max_sentences, column, seed), "model": {"source": model},
            "layers": _layers(layers), "rank": rank, "epochs": epochs, "random_encoder": random_encoder,
            "runtime": {"seed": seed},
        }  # fmt: skip
        config = _config("probe", data, sets)
        assert isinstance(config, ProbeConfig)
        if out is not None:
            _can_write(out)
        _prepare(config)
        with _bar(as_json) as progress, _memory(True):
            from core.graph.probe.run import probe_corpus

            found = probe_corpus(config, cache=_cache(), phase=_phases(progress), out=out)
        answer(found, as_json=as_json, text=probe_table(found))
        if not as_json:
            for notice in found["notices"]:
                note(notice)


@app.command("link")
def link(
    file: FileArgument,
    layer: Annotated[int | None, typer.Option(min=0, help="Layer of the features.", show_default="the middle")] = None,
    network: Annotated[str, typer.Option(help="sage or gat.")] = "sage",
    epochs: Annotated[int, typer.Option(min=1, max=5000, help="Passes over the training edges.")] = 100,
    seed: SeedOption = 0,
    sets: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="File for the graph with its predicted (gnn) edges.")] = None,
    as_json: bool = JsonOption,
) -> None:
    """Train a graph network to predict links, and score it beside cosine, common neighbours and Adamic-Adar."""
    with errors(as_json):
        data = {
            "graph": str(file), "layer": layer, "network": network, "epochs": epochs, "runtime": {"seed": seed},
        }  # fmt: skip
        config = _config("link", data, sets)
        assert isinstance(config, LinkConfig)
        if out is not None:
            _can_write(out)
        graph = _load(file)
        made = graph.about.get("config")
        _prepare(config, made if isinstance(made, dict) else None)
        with _bar(as_json) as progress, _memory(True):
            from core.graph.link.run import link_graph, with_edges

            found = link_graph(config, graph, cache=_cache(), phase=_phases(progress))
        if out is not None:
            from core.graph.file import save_graph

            save_graph(with_edges(graph, found), out)
        result = {**found.result, "gnn_edges": len(found.edges)}
        answer(result if out is None else {"file": str(out), **result}, as_json=as_json, text=links_table(result))
        if not as_json:
            note(str(result["verdict"]))
            for notice in result["notices"]:
                note(notice)


@app.command("export")
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
        graph = _load(file)
        with _place(target) as place:
            if kind != "html":
                from core.graph.export import export_graph

                chosen: int | Literal["all"] | None = "all" if layer == "all" else _layer(layer)
                notices = export_graph(graph, place, kind, layer=chosen)
            else:
                view = _view(graph, _layer(layer), word, source, target_word, limit)
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
    query = _query({"from": source, "to": target, "layer": layer})
    found = find_paths(graph, query)
    if not found["paths"]:
        raise ConfigError(str(found["reason"]), where="--from and --to", expected="two words that are joined")
    return path_view(graph, mixed_for(graph, query), found["paths"], limit=limit or 150)


def _load(file: Path) -> WordGraph:
    from core.graph.file import load_graph

    return load_graph(file)


def _query(data: dict[str, Any]) -> Any:
    from core.config.files import validated
    from core.graph.query import PathQuery

    return validated(PathQuery, data, where="graph path")


def _config(kind: str, data: dict[str, Any], sets: list[str] | None) -> GraphConfig | ProbeConfig | LinkConfig:
    from core.runs.sources import absolute_sources

    config = config_from_dict(kind, apply_sets(data, sets or []), where=f"graph {'build' if kind == 'graph' else kind}")
    assert isinstance(config, GraphConfig | ProbeConfig | LinkConfig)
    return absolute_sources(config)  # the graph's file says what it was made from, wherever it is opened


def _corpus(
    source: str, language: str | None, max_sentences: int | None, column: str | None, seed: int
) -> dict[str, Any]:
    given = {"source": source, "language": language, "max_sentences": max_sentences, "seed": seed}
    found = {name: value for name, value in given.items() if value is not None}
    return found if column is None else {**found, "columns": {"text": column}}


def _layers(text: str) -> str | list[int]:
    if text.strip() == "all":
        return "all"
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"The layers {text[:80]!r} are not numbers.", where="--layers", expected="all, or for example 0,3,6"
        ) from error


def _layer(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(
            f"The layer {text[:80]!r} is not a number.", where="--layer", expected="a layer of the graph, or all"
        ) from error


def _names(text: str, option: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigError(f"--{option} names nothing.", expected="for example dep,sim,cooc")
    return found


def _weights(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in _names(text, "weights"):
        name, separator, value = part.partition("=")
        try:
            if not separator:
                raise ValueError
            found[name.strip()] = float(value)
        except ValueError as error:
            raise ConfigError(
                f"The weight {part[:80]!r} is not of the form TYPE=NUMBER.", where="--weights",
                expected="for example dep=1,sim=0.5",
            ) from error  # fmt: skip
    return found


def _can_write(out: Path) -> None:
    """Refuse a target that could not be written, before anything is computed for it."""
    folder = out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or out.is_dir():
        raise StorageError(
            "The file cannot be written there.", where=str(out), expected="a file in a folder that you may write to"
        )


def _prepare(config: GraphConfig | ProbeConfig | LinkConfig, made: dict[str, Any] | None = None) -> None:
    """Set what libraries read when they are imported: offline, unless a hub source is named."""
    from core.runs.backends.process import worker_environment
    from core.runs.sources import names_hub

    hub = names_hub(config.model_dump(mode="json")) or names_hub(made or {})
    wanted = worker_environment(hub=hub)
    if hub:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            if name not in wanted:
                os.environ.pop(name, None)
    os.environ.update(wanted)


def _cache() -> Path:
    from core.settings import home

    return home().ensure().cache


@contextmanager
def _memory(torch: bool) -> Iterator[None]:
    """Tell a lack of memory as such; torch is imported only where it is used anyway."""
    if not torch:
        yield
        return
    from core.training.device import reading_errors

    with reading_errors():
        yield


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar a phase on standard error."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(escape(phase), total=total or None)
            bar.update(tasks[phase], completed=done, total=total or None)

        yield progress


def _phases(progress: Callable[[str, int, int], None]) -> Callable[[str], Callable[[int, int], None]]:
    def phase(name: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(name, done, total)

    return phase
