"""``bertloom graph …``: building word graphs, asking them for paths, probing, predicting links, exporting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.graph_export import export
from core.cli.graph_input import (
    ColumnOption,
    CorpusOption,
    FileArgument,
    LanguageOption,
    LayerOption,
    LayersOption,
    ModelOption,
    SeedOption,
    SentencesOption,
    SetOption,
    config_of,
    corpus_of,
    layers_of,
    load,
    names_of,
    query_of,
    weights_of,
)  # fmt: skip
from core.cli.graph_text import links_table, paths_text, probe_table, stats_text
from core.cli.graph_work import bar, cache_folder, can_write, memory_told, phases_of, prepare
from core.cli.output import JsonOption, answer, errors, note
from core.config import GraphConfig, LinkConfig, ProbeConfig
from core.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(help="Word graphs: how words relate inside an encoder and a corpus.", no_args_is_help=True)


@app.command("build")
def build(
    out: Annotated[Path, typer.Option(help="File to write.")],
    corpus: CorpusOption = "reviews",
    model: ModelOption = "bundled",
    layers: LayersOption = "all",
    edges: Annotated[
        str | None,
        typer.Option(help="Edge types: dep, sim, cooc, attn.", show_default="dep,sim,cooc; no dep without trees"),
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
            "corpus": {**corpus_of(corpus, language, max_sentences, column, seed), "unit": unit, "min_count": min_count,
                       "stop_words": stop_words},
            "model": {"source": model}, "layers": layers_of(layers),
            "edges": names_of(edges or ("sim" if vocabulary else "dep,sim,cooc"), "edges"),
            "vectors": {"mode": "vocabulary" if vocabulary else "contexts"}, "runtime": {"seed": seed},
        }  # fmt: skip
        if probe is not None:
            data |= {"probe_run": probe, "settings": {"dep": {"source": "probe"}}}
        config = config_of("graph", data, sets)
        assert isinstance(config, GraphConfig)
        can_write(out)
        prepare(config)
        reason = None
        chosen = edges is not None or vocabulary or any(one.startswith("edges=") for one in sets or [])
        if not chosen and config.settings.dep.source == "trees":
            from core.graph.corpus.usual import usual_edges

            suitable, reason = usual_edges(config.corpus)
            config = config.model_copy(update={"edges": suitable})
        from core.graph.build import build_graph
        from core.graph.file import save_graph
        from core.graph.stats import graph_stats

        with bar(as_json) as progress, memory_told(bool({"sim", "attn"} & set(config.edges))):
            graph = build_graph(config, cache=cache_folder(), progress=progress)
        if reason is not None:
            graph.about["notices"] = [*graph.about.get("notices", []), f"Dep edges were left out. {reason}"]
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

        graph = load(file)
        if every_layer and layer is not None:
            raise ConfigError("--layer and --every-layer exclude each other.", expected="one of them")
        query = query_of(
            {"from": source, "to": target, "k": k, "min_between": min_between, "avoid": avoid or [],
             "through": through or [], "layer": layer, "hub_penalty": hub_penalty, "directed": not undirected,
             "across_layers": across_layers, "weights": weights_of(weights)}
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

        graph = load(file)
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
            "corpus": corpus_of(corpus, language, max_sentences, column, seed), "model": {"source": model},
            "layers": layers_of(layers), "rank": rank, "epochs": epochs, "random_encoder": random_encoder,
            "runtime": {"seed": seed},
        }  # fmt: skip
        config = config_of("probe", data, sets)
        assert isinstance(config, ProbeConfig)
        if out is not None:
            can_write(out)
        prepare(config)
        with bar(as_json) as progress, memory_told(True):
            from core.graph.probe.run import probe_corpus

            found = probe_corpus(config, cache=cache_folder(), phase=phases_of(progress), out=out)
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
        config = config_of("link", data, sets)
        assert isinstance(config, LinkConfig)
        if out is not None:
            can_write(out)
        graph = load(file)
        made = graph.about.get("config")
        prepare(config, made if isinstance(made, dict) else None)
        with bar(as_json) as progress, memory_told(True):
            from core.graph.link.run import link_graph, with_edges

            found = link_graph(config, graph, cache=cache_folder(), phase=phases_of(progress))
        if out is not None:
            from core.graph.file import save_graph

            save_graph(with_edges(graph, found), out)
        result = {**found.result, "gnn_edges": len(found.edges)}
        answer(result if out is None else {"file": str(out), **result}, as_json=as_json, text=links_table(result))
        if not as_json:
            note(str(result["verdict"]))
            for notice in result["notices"]:
                note(notice)


app.command("export")(export)
