"""Statistics, measures, probes and graph networks of the explorer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config.graph import GraphConfig
from core.errors import DataError
from core.runs.records import Status
from pages.ui.graph.found import link_rows, probe_rows, probe_verdict
from pages.ui.graph.quality import similarity_row
from pages.ui.graph.statistics import edge_rows
from tests.pages.explorer import fill, open_panel, words
from tests.pages.fake_graphs import READY, FakeGraphs
from tests.pages.fake_studio import FakeStudio

PROBE = {
    "details": {
        "probe": {
            "layers": [{"layer": 0, "uuas": 0.4, "dspr": 0.3}, {"layer": 1, "uuas": 0.6, "dspr": 0.5}],
            "random": [{"layer": 1, "uuas": 0.35, "dspr": 0.2}], "chain": {"uuas": 0.5, "dspr": 0.4},
            "notices": ["Silver trees."],
        }
    }
}  # fmt: skip
LINK = {
    "details": {
        "link": {
            "kinds": {
                "dep": {
                    "methods": {"network": {"auc": 0.8, "auc_low": 0.7, "auc_high": 0.9, "mrr": 0.3, "hits": 0.5}},
                    "verdict": "The graph network does not beat cosine on dep.",
                }
            },
            "titles": {"network": "the graph network"}, "notices": [],
        }
    }
}  # fmt: skip


def test_quality_says_on_what_it_was_measured_and_who_won(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.probe_runs = [{"id": "p", "name": "my probe", "status": Status.FINISHED}]
    desk.link_runs = [{"id": "l", "name": "my links", "status": Status.FINISHED}]
    desk.run_results = {"p": PROBE, "l": LINK}
    app = open_panel(open_explorer(graphs=desk), "Quality")
    shown = words(app)
    assert "my probe" in shown
    assert "Silver trees." in shown
    assert "The graph network does not beat cosine on dep." in shown
    assert list(app.dataframe[0].value["items"]) == ["60"]
    assert [box.value for box in app.warning] == ["The graph network does not beat cosine on dep\\."]


def test_a_path_is_compared_with_random_ones_when_asked(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_panel(open_explorer(), "Quality")
    assert all(kind != "plausibility" for kind, _ in studio.graphs.asked)
    app.button(key="graph_plausibility").click().run()
    assert ("plausibility", ["the", "sees", "cat"]) in studio.graphs.asked
    assert "of 200 random paths" in words(app)


def test_a_probe_is_trained_on_the_graphs_own_corpus(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_panel(open_explorer(), "Quality")
    app.button(key="graph_train_probes").click().run()
    config = next(asked for kind, asked in studio.graphs.asked if kind == "probe")
    assert config.corpus == GraphConfig().corpus
    assert config.name == "probe: ten sentences"


def test_random_weights_stand_beside_the_layers_of_a_probe() -> None:
    rows, chain = probe_rows(PROBE)
    assert [row.get("random_uuas") for row in rows] == [None, 0.35]
    assert chain == {"uuas": 0.5, "dspr": 0.4}


def test_scores_of_links_have_their_intervals() -> None:
    (row,) = link_rows(LINK)
    assert (row["method"], row["type"], row["auc"], row["low"], row["high"]) == (
        "the graph network", "dep", 0.8, 0.7, 0.9,
    )  # fmt: skip


def test_a_probe_that_beats_no_baseline_is_called_so() -> None:
    rows = [{"layer": 0, "uuas": 0.4}, {"layer": 1, "uuas": 0.6, "uuas_low": 0.48, "random_uuas": 0.35}]
    good, said = probe_verdict(rows, {"uuas": 0.5})
    assert not good
    assert said == (
        "Layer 1 holds the trees best: UUAS 0.600, but it does not beat the linear chain (the linear chain 0.500, "
        "layer 0 0.400, random weights 0.350)."
    )
    assert probe_verdict([{**row, "uuas_low": 0.55} for row in rows], {"uuas": 0.5})[0]


def test_a_network_is_trained_with_the_settings_that_were_chosen(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_panel(open_explorer(), "Quality")
    fill(app, "number_input", "hidden", 32, form="graph_links_form")
    fill(app, "segmented_control", "network", "gat", form="graph_links_form")
    app.button(key="graph_train_links").click().run()
    config = next(asked for kind, asked in studio.graphs.asked if kind == "link")
    assert (config.graph, config.hidden, config.network) == (READY, 32, "gat")


def test_a_graph_without_trees_is_offered_no_probe(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.graph.about["trees"] = "none"
    app = open_panel(open_explorer(graphs=desk), "Quality")
    assert "A probe learns trees, and this graph has none" in words(app)
    assert all(button.key != "graph_train_probes" for button in app.button)


def test_results_of_another_graph_are_named_as_such(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.probe_runs = [
        {"id": "p", "name": "of plots", "status": Status.FINISHED, "kind": "probe",
         "plan": {"corpus": {"source": "plots"}, "model": {"source": "bundled"}}},
    ]  # fmt: skip
    desk.run_results = {"p": PROBE}
    assert "Of another graph" in words(open_panel(open_explorer(graphs=desk), "Quality"))


# -- lists of similar words -----------------------------------------------------------------------------------------
PAIRS = [("cat", "dog", 8.0), ("queen", "cat", 2.0), ("film", "story", 7.0), ("garden", "wall", 5.0),
         ("tree", "mat", 1.0), ("old", "slow", 3.0), ("cat", "ocean", 1.0)]  # fmt: skip


def test_a_list_of_similar_words_gives_a_row_with_the_pairs_it_covers(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.lists = {"/uploads/mine.csv": PAIRS}
    app = open_panel(open_explorer(graphs=desk, graph=READY, from_="the", to="cat", layer="2"), "Quality")
    table = app.dataframe[0].value
    (row,) = [row for _, row in table.iterrows() if row["measure"].startswith("similar words")]
    assert row["measure"] == "similar words, layer 2 (Spearman's ρ)"
    assert row["items"] == "6"
    assert "7 pairs of mine.csv; layers from" in row["computed on"]
    assert "6 of 7 pairs are covered. Not in the graph: ocean." in words(app)


def test_without_a_list_the_page_says_what_one_is(open_explorer: Callable[..., AppTest]) -> None:
    assert "None comes with Bertloom" in words(open_panel(open_explorer(), "Quality"))


def test_a_list_that_cannot_be_read_any_more_is_explained(
    open_explorer: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = FakeGraphs()
    desk.lists = {"/uploads/mine.csv": PAIRS}

    def refuse(source: str, path: str) -> Any:
        raise DataError("This line is no pair with a score.", where="mine.csv, line 3")

    monkeypatch.setattr(desk, "similarity", refuse)
    assert "mine.csv, line 3" in words(open_panel(open_explorer(graphs=desk), "Quality"))


def test_too_few_covered_pairs_are_said_in_the_row() -> None:
    found = {"list": "x", "pairs": 9, "covered": 2, "layers": [{"layer": 0, "spearman": None}]}
    row = similarity_row(found, 0)
    assert (row["value"], row["items"]) == ("–", "2")
    assert "too few of them are covered" in row["computed on"]


# -- statistics -----------------------------------------------------------------------------------------------------
def test_statistics_name_words_edges_parts_and_hubs(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_panel(open_explorer(), "Statistics")
    found = studio.graphs.stats(READY, 1)
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Words"] == str(found["words"])
    assert values["Joined pairs"] == str(found["pairs"])
    assert list(app.dataframe[0].value["type"]) == ["dependency", "similarity", "co-occurrence"]
    hub = found["degree"]["most"][0]
    button = next(one for one in app.button if one.label.startswith(hub["word"]))
    button.click().run()
    assert app.session_state["graph_explorer"].query.view == "neighbourhood"
    assert app.session_state["graph_explorer"].query.word == hub["word"]


def test_edges_are_counted_in_the_layer_and_in_all() -> None:
    weight = {"min": 0.1, "mean": 0.2, "max": 0.3}
    edges = [
        {"type": "sim", "layer": 0, "edges": 5, "weight": weight}, {"type": "sim", "layer": 1, "edges": 7,
         "weight": weight}, {"type": "dep", "layer": None, "edges": 3, "weight": None},
    ]  # fmt: skip
    rows = edge_rows({"edges": edges, "layer": 1})
    assert [(row["type"], row["edges"], row["in all layers"]) for row in rows] == [
        ("dependency", "3", "–"), ("similarity", "7", "12"),
    ]  # fmt: skip
