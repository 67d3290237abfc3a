"""The graph explorer, on the router, with a graph desk in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config.graph import GraphConfig
from core.errors import DataError
from core.runs.records import Status
from pages.ui.graph import shapes
from pages.ui.graph.ask import across_words, default_pair
from pages.ui.graph.compare import _first_layers
from pages.ui.graph.looks import EDGE_LOOKS, type_colour
from pages.ui.graph.query_bar import MOST_OPTIONS, word_options
from pages.ui.graph.state import Query, from_params, to_params
from tests.pages.conftest import ROUTER
from tests.pages.explorer import address, control, open_panel, open_tab, words
from tests.pages.fake_graphs import READY, FakeGraphs, small_graph
from tests.pages.fake_studio import FakeStudio


# -- from nothing to a graph ----------------------------------------------------------------------------------------
def test_an_empty_explorer_offers_the_demo(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_explorer(ready=False)
    assert "the → is → cat" in words(app)
    app.button(key="primary_action").click().run()
    config, _ = studio.graphs.built[0]
    assert config.corpus.source == "reviews"
    assert config.model.source == "bundled"
    assert "120 of 600 · 00:12 left" in words(app)


def test_a_demo_that_is_there_is_opened_instead_of_built_again(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_explorer(ready=False)
    app.button(key="primary_action").click().run()
    studio.graphs.entries[0]["status"] = Status.FINISHED
    app = open_explorer(graphs=studio.graphs, graph="new")
    app.button(key="primary_action").click().run()
    assert len(studio.graphs.built) == 1
    assert address(app)["graph"] == studio.graphs.entries[0]["id"]


def test_ones_own_text_becomes_a_corpus(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_explorer(ready=False)
    open_tab(app, "Your text")
    app.text_area(key="graph_text").input("The cat is on the mat.")
    app.button(key="primary_action").click().run()
    name, content = studio.data.saved[0]
    assert name.endswith(".txt")
    assert content == b"The cat is on the mat."
    config, _ = studio.graphs.built[0]
    assert config.corpus.source.endswith(name)
    assert config.edges == GraphConfig().edges


def test_nothing_is_built_from_nothing(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_explorer(ready=False)
    open_tab(app, "Your text")
    app.button(key="primary_action").click().run()
    assert "Paste a text" in words(app)
    assert not studio.graphs.built


def test_a_graph_that_is_built_can_be_cancelled(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = studio.runs.add("mine", Status.RUNNING)
    desk = FakeGraphs(ready=False)
    desk.add(run.id, "mine", Status.RUNNING, progress={"phase": "word vectors", "step": 3, "total_steps": 9})
    app = open_explorer(graphs=desk, graph=run.id)
    assert "Word vectors · 3 of 9" in words(app)
    app.button(key="graph_cancel").click().run()
    assert studio.runs.asked == [("cancel", run.id)]


def test_a_graph_that_failed_says_why(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs(ready=False)
    error = {"what": "The file has no text.", "where": "row 3", "expected": "words", "advice": "Choose another."}
    desk.add("20261124-1", "broken", Status.FAILED, error=error)
    shown = words(open_explorer(graphs=desk, graph="20261124-1"))
    assert all(part in shown for part in ("The file has no text.", "row 3", "Choose another."))


def test_the_settings_of_a_graph_that_failed_can_be_changed(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    config = GraphConfig(name="broken", corpus={"source": "plots", "max_sentences": 7})
    run = studio.runs.add("broken", Status.FAILED)
    studio.runs.records[run.id] = replace(run, kind="graph", plan=config.model_dump(mode="json"))
    desk = FakeGraphs(ready=False)
    desk.add(run.id, "broken", Status.FAILED, error={"what": "The file has no text."})
    app = open_explorer(graphs=desk, graph=run.id)
    app.button(key="primary_action").click().run()
    assert address(app) == {"graph": "new", "like": run.id}
    app.button(key="primary_action").click().run()
    assert desk.built[0][0] == config


def test_an_address_without_a_graph_behind_it_is_explained(open_explorer: Callable[..., AppTest]) -> None:
    assert "There is no graph here." in words(open_explorer(graph="no-such-run"))


def test_the_page_loads_nothing_that_only_workers_need(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import pytest
from streamlit.testing.v1 import AppTest
from tests.pages.fake_graphs import FakeGraphs
from tests.pages.fake_studio import FakeStudio, install
studio = FakeStudio(Path({str(tmp_path)!r}))
studio.graphs = FakeGraphs()
with pytest.MonkeyPatch.context() as patch:
    install(patch, studio)
    app = AppTest.from_file({str(ROUTER)!r}, default_timeout=60).run()
    app.switch_page("../graph_explorer.py").run()
    assert not app.exception and not app.error
heavy = [name for name in ("torch", "transformers", "spacy", "jieba", "torch_geometric") if name in sys.modules]
assert not heavy, heavy
print(app.title[0].value)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROUTER.parents[2], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROUTER.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "ten sentences"


# -- the query ------------------------------------------------------------------------------------------------------
def test_a_ready_graph_shows_a_path_hop_by_hop_beside_what_the_article_says(
    open_explorer: Callable[..., AppTest],
) -> None:
    shown = words(open_explorer())
    assert "### the → sees → cat" in shown
    assert "**the** → **sees**" in shown
    assert "This graph says the → sees → cat." in shown
    assert "**sees** **the** dog near" in shown


def test_notices_of_the_graph_stand_on_its_page(open_explorer: Callable[..., AppTest]) -> None:
    assert "a parser made them, nobody checked" in words(open_explorer())


def test_an_address_asks_the_whole_query(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    open_explorer(
        graph=READY, from_="dog", to="queen", layer="2", between="2", k="4", avoid="the film", hub="0.5",
        directed="no", weights="cooc:0.25 sim:0",
    )  # fmt: skip
    query = next(asked for kind, asked in studio.graphs.asked if kind == "paths")
    assert (query.source, query.target, query.layer, query.min_between, query.k) == ("dog", "queen", 2, 2, 4)
    assert query.avoid == ["the", "film"]
    assert query.hub_penalty == 0.5
    assert not query.directed
    assert query.weights == {"dep": 1.0, "cooc": 0.25, "sim": 0.0}


def test_another_graph_of_the_list_has_its_address(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.add("20261124-1", "still at work", Status.RUNNING)
    app = open_explorer(graphs=desk, graph=READY)
    app.button(key="graph_open_20261124-1").click().run()
    assert address(app) == {"graph": "20261124-1"}
    assert "still at work" in words(app)


def test_what_is_changed_stands_in_the_address(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer()
    assert address(app) == {}  # the newest graph and its first query are no step of the back button
    control(app, "selectbox", "to").set_value("queen").run()
    found = address(app)
    assert (found["graph"], found["from"], found["to"]) == (READY, "the", "queen")
    control(app, "slider", "weight_cooc").set_value(0.5).run()
    assert address(app)["weights"] == "cooc:0.5"


def test_another_address_fills_the_query_anew(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(graph=READY, from_="the", to="cat")
    app.query_params["to"] = "mat"
    app.run()
    assert control(app, "selectbox", "to").value == "mat"


def test_the_query_is_asked_the_other_way_round(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer()
    app.button(key="graph_swap").click().run()
    assert (control(app, "selectbox", "from").value, control(app, "selectbox", "to").value) == ("cat", "the")
    assert "### cat →" in words(app)


def test_a_word_that_is_not_there_gets_the_nearest_spellings(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(graph=READY, from_="the", to="gardne")
    assert "**gardne** is not a word of this graph." in words(app)
    next(button for button in app.button if button.label == "garden").click().run()
    assert control(app, "selectbox", "to").value == "garden"
    assert "→ garden" in words(app)


def test_a_word_that_is_nowhere_near_gets_the_neighbours_of_the_other(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(graph=READY, from_="queen", to="zzzzzzzz")
    shown = words(app)
    assert "Nothing is spelled alike" in shown
    assert "Neighbours of queen" in shown
    offered = [button for button in app.button if "offer_endnear_" in str(button.key)]
    offered[0].click().run()
    assert control(app, "selectbox", "to").value == offered[0].label


def test_no_path_says_why_and_what_is_near(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(
        graphs=FakeGraphs(small_graph(["lonely island"])), graph=READY, from_="lonely", to="cat",
        weights="sim:0",
    )  # fmt: skip
    shown = words(app)
    assert "in parts of the graph that no edge joins" in shown
    assert "Connected parts" in shown


def test_edges_that_all_weigh_nothing_are_refused_in_words(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(graph=READY, from_="the", to="cat", weights="dep:0 sim:0 cooc:0")
    assert "All edge types weigh nothing" in words(app)


def test_the_same_question_is_asked_once(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_explorer()
    before = len(studio.graphs.asked)
    app.run()
    assert len(studio.graphs.asked) == before


def test_words_of_the_path_that_are_not_drawn_are_named(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    whole = desk.view

    def without_the_path(source: str, kind: str, **rest: Any) -> dict[str, Any]:
        view = whole(source, kind, **rest)
        return {**view, "nodes": [node for node in view["nodes"] if node["word"] != "sees"], "edges": []}

    desk.view = without_the_path  # type: ignore[method-assign]
    assert "Not among the words drawn: sees." in words(open_explorer(graphs=desk))


def test_every_panel_draws(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer()
    titles = [tab.label for tab in app.tabs]
    assert len(titles) >= 5
    for title in titles:
        app.session_state["graph_panels"] = title
        app.run()
        assert not app.exception, (title, app.exception)
        assert not app.error, (title, [error.value for error in app.error])


def test_layers_are_laid_side_by_side(open_explorer: Callable[..., AppTest]) -> None:
    app = open_panel(open_explorer(), "Compare")
    assert "of the edges are shared" in words(app)
    assert "the → sees → cat" in list(app.dataframe[0].value["path"])


def test_a_path_may_lead_across_layers(open_explorer: Callable[..., AppTest]) -> None:
    app = open_explorer(graph=READY, from_="the", to="cat", across="yes")
    assert not app.error
    assert "the (" in words(app)


def test_a_path_across_layers_begins_and_ends_where_it_is_told(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_explorer(graph=READY, from_="the", to="cat", across="yes", first="0", last="2", kappa="0.5")
    query = next(asked for kind, asked in studio.graphs.asked if kind == "paths")
    assert (query.from_layer, query.to_layer, query.kappa) == (0, 2, 0.5)
    assert "### the (0" in words(app)
    control(app, "toggle", "across").set_value(False).run()
    assert not {"across", "first", "last", "kappa"} & set(address(app))


def test_a_first_question_across_layers_says_what_it_computes() -> None:
    graph = small_graph()
    said = across_words(graph)
    assert f"Laying 3 layers of {len(graph)} words over one another" in said
    assert "once" in said


def test_layers_that_are_compared_first_differ_in_one_graph_and_agree_in_two() -> None:
    assert _first_layers([0, 1, 2], [0, 1, 2], 1, same=True) == (1, 2)
    assert _first_layers([0, 1, 2], [0, 1, 2], 2, same=True) == (2, 0)
    assert _first_layers([0, 1, 2], [0, 1, 2], 1, same=False) == (1, 1)
    assert _first_layers([0, 5, 9], [0, 3], None, same=False) == (5, 3)


def test_hostile_words_are_shown_as_they_are(open_explorer: Callable[..., AppTest]) -> None:
    wild = "<img/src=x>**bold**[link](http://x)"
    app = open_explorer(graphs=FakeGraphs(small_graph([f"the {wild} cat"])), graph=READY, from_=wild, to="cat")
    raw = "\n".join(str(part.value) for part in [*app.markdown, *app.caption])
    assert "<img" not in raw.replace("\\<img", "")
    assert "**bold**" not in raw
    assert "[link](" not in raw


def test_a_desk_that_refuses_is_explained(
    open_explorer: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = FakeGraphs()

    def refuse(*_: object, **__: object) -> None:
        raise DataError("The graph is damaged.", advice="Build it again.")

    monkeypatch.setattr(desk, "paths", refuse)
    assert "The graph is damaged." in words(open_explorer(graphs=desk))


# -- pure parts -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(graph="g", start="a&b=c", end="#?%", layer=3, between=0, k=7, hub=0.25, directed=False, across=True),
        Query(across=True, first=0, last=2, kappa=1.5),
        Query(avoid=("of", "the"), through=("is",), weights=(("dep", 0.0), ("sim", 0.35)), view="overview"),
    ],
)
def test_a_query_survives_the_address(query: Query) -> None:
    assert from_params(to_params(query)) == query


@pytest.mark.parametrize(
    "params",
    [
        {"layer": "x"}, {"layer": "-1"}, {"k": "0"}, {"k": "999"}, {"between": "nan"}, {"hub": "inf"},
        {"directed": "maybe"}, {"view": "hairball"}, {"weights": "dep:2"}, {"weights": "dep:x"}, {"from": "w" * 6000},
    ],
)  # fmt: skip
def test_what_an_address_cannot_mean_is_as_usual(params: dict[str, str]) -> None:
    assert from_params(params) == Query()


def test_only_whole_words_are_marked_and_the_rest_is_escaped() -> None:
    assert shapes.marked("The cat, a category.", ["the", "cat"]) == "**The** **cat**, a category\\."
    assert shapes.marked("我爱电影", ["电影"]) == "我爱**电影**"
    assert shapes.marked("a <b>", []) == "a \\<b\\>"


def test_a_long_sentence_is_cut_around_the_mark() -> None:
    text = f"{'x ' * 300}cat {'y ' * 300}"
    found = shapes.marked(text, ["cat"], limit=80)
    assert "**cat**" in found
    assert len(found) < 120


def test_the_highlight_lies_on_one_path_only_and_draws_its_hops() -> None:
    view = {
        "nodes": [{"id": n, "label": w, "role": "path" if n < 2 else ""} for n, w in enumerate(["a", "b", "c"])],
        "edges": [{"from": 0, "to": 1, "type": "dep", "weight": 1, "role": "path"}],
    }
    hops = [{"from": "a", "to": "c", "types": {"sim": 1.0}, "probability": 0.5}]
    shown = shapes.highlight(view, {"words": ["a", "c"], "hops": hops})
    assert [node["role"] for node in shown["nodes"]] == ["path", "neighbour", "path"]
    assert [(edge["from"], edge["to"], edge["role"]) for edge in shown["edges"]] == [
        (0, 1, "neighbour"), (0, 2, "path"),
    ]  # fmt: skip
    assert view["nodes"][1]["role"] == "path"  # the view itself is as it was


def test_relations_say_which_word_hangs_on_which() -> None:
    hop = {"from": "the", "to": "cat", "relations": [{"head": "cat", "relation": "det", "count": 3}]}
    assert shapes.relations(hop) == "the is det of cat (3)"
    hop["relations"] = [{"head": "cat", "relation": "probe", "count": 1}]
    assert shapes.relations(hop) == "the depends on cat (1)"


def test_a_graph_with_trees_of_a_probe_says_so(open_explorer: Callable[..., AppTest]) -> None:
    desk = FakeGraphs()
    desk.graph.about["config"]["settings"]["dep"]["source"] = "probe"
    shown = words(open_explorer(graphs=desk))
    assert "trees of a probe" in shown


def test_a_word_that_changes_its_layer_is_named_once() -> None:
    path = {"words": ["the", "the", "cat"], "layers": [1, 2, 2]}
    assert shapes.named(path) == ["the (1–2)", "cat (2)"]


def test_layers_where_the_path_changes_are_named() -> None:
    rows = [{"layer": layer, "words": words} for layer, words in enumerate([["a"], ["a"], ["b"]])]
    assert shapes.changes(rows) == [(1, 2)]


def test_the_first_pair_is_the_articles_else_frequent_nouns() -> None:
    assert default_pair(["cat", "the"], ["NOUN", "DET"]) == ("the", "cat")
    assert default_pair(["of", "film", "story"], ["ADP", "NOUN", "NOUN"]) == ("film", "story")
    assert default_pair(["…", "好", "看"], ["", "", ""]) == ("好", "看")
    assert default_pair(["one"], [""]) == ("one", "")


def test_a_search_box_lists_the_frequent_words_and_the_chosen_one() -> None:
    many = [f"w{number}" for number in range(30_000)]
    assert word_options(many, "w29999", "w1") == [*many[:MOST_OPTIONS], "w29999"]


def test_every_edge_type_has_a_colour_and_a_dash_of_its_own() -> None:
    for mode in ("light", "dark"):
        assert len({type_colour(kind, mode) for kind in EDGE_LOOKS}) == len(EDGE_LOOKS)
    assert len({look[2] for look in EDGE_LOOKS.values()}) == len(EDGE_LOOKS)
