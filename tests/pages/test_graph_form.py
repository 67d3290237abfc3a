"""The form of a graph: every key of the config, loss-free from YAML and back, with edge types that suit the corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import plan_to_yaml
from core.config.graph import GraphConfig, LinkConfig, ProbeConfig
from core.config.reference import config_keys
from core.errors import ConfigError
from core.runs.records import Status
from pages.ui.graph.fields import field_help, label_of
from pages.ui.graph.form import config_of, config_of_yaml, state_of
from pages.ui.graph.settings import UNSHOWN, encoder_facts
from pages.ui.graph.start import FORM
from pages.ui.graph.trained import TRAINED_FIELDS
from pages.ui.graph.values import from_widget, to_widget
from tests.pages.explorer import fill, open_tab, widget, words
from tests.pages.fake_graphs import READY, FakeGraphs
from tests.pages.fake_models import BUNDLED
from tests.pages.fake_studio import FakeStudio

#: Every key differs from the schema's default.
OTHER: dict[str, Any] = {
    "name": "mine", "tags": ["a", "b"],
    "runtime": {"backend": "thread", "device": "cpu", "threads": 2, "seed": 5},
    "corpus": {
        "source": "zh-news", "subset": "s", "revision": "r", "split": "test", "encoding": "gb18030",
        "columns": {"text": "a", "text_pair": "b", "label": "c", "tokens": "d", "tags": "e",
                    "question": "f", "context": "g", "answers": "h", "start": "i",
                    "heads": "j", "relations": "k", "spans": "l"}, "language": "zh",
        "unit": "character", "lowercase": False, "max_sentences": 77, "min_count": 4, "max_words": 99,
        "parts_of_speech": ["NOUN"], "stop_words": False, "seed": 3,
    },
    "model": {"source": "/models/x", "revision": "v1", "max_length": 64, "dropout": 0.25},
    "vectors": {"mode": "vocabulary", "contexts": 7, "remove_components": 0, "whiten": True},
    "layers": [0, 3], "edges": ["attn", "dep"], "probe_run": "20261124-1",
    "settings": {
        "dep": {"source": "probe", "min_count": 2, "punctuation": True}, "sim": {"k": 4, "min_cosine": 0.1},
        "cooc": {"window": 2, "smoothing": 0.5, "min_count": 1}, "attn": {"heads": [1, 11], "k": 3, "min_count": 2},
    },
}  # fmt: skip


def opened(open_explorer: Callable[..., AppTest], tab: str = "Sample", **rest: Any) -> AppTest:
    return open_tab(open_explorer(ready=False, **rest), tab)


def built(app: AppTest, studio: FakeStudio) -> GraphConfig:
    app.button(key="primary_action").click().run()
    assert not app.exception, app.exception
    assert studio.graphs.built, words(app)
    return studio.graphs.built[-1][0]


# -- nothing is lost ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("config", [GraphConfig(), GraphConfig.model_validate(OTHER), ProbeConfig(), LinkConfig()])
def test_a_config_survives_the_forms_state(config: Any) -> None:
    assert config_of(type(config), state_of(config)) == config


def test_the_other_config_differs_in_every_key() -> None:
    usual, other = state_of(GraphConfig()), state_of(GraphConfig.model_validate(OTHER))
    assert [path for path in usual if usual[path] == other[path]] == ["version", "kind"]


@pytest.mark.parametrize("values", [{}, OTHER])
def test_every_value_survives_its_widget(values: dict[str, Any]) -> None:
    state = state_of(GraphConfig.model_validate(values))
    for path, key in config_keys(GraphConfig).items():
        if path not in ("version", "kind"):
            assert from_widget(key, to_widget(key, state[path])) == state[path], path


def test_a_yaml_file_comes_back_as_it_went() -> None:
    config = GraphConfig.model_validate(OTHER)
    assert config_of_yaml(plan_to_yaml(config), "graph.yaml") == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: probe\n", "another kind: structural probe"), ("stages: []\n", "another kind: training"),
        ("edges: [dep, nothing]\n", r"edges.1 \(line 1\)"), ("corpus:\n  max_sentences: 0\n", r"line 2"),
        ("a: [\n", "not valid YAML"), ("just words", "not a YAML mapping"), ("unknown: 1\n", "unknown key"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_graph_is_refused_with_the_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        config_of_yaml(text, "mine.yaml")
    assert "mine.yaml" in str(found.value.where)


# -- every key can be reached ---------------------------------------------------------------------------------------
def test_every_key_of_a_graph_has_a_field_or_is_left_out_on_purpose(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_explorer)
    form = app.session_state["graph_forms"][FORM]
    form.load(GraphConfig.model_validate(OTHER | {"edges": ["dep", "sim", "cooc", "attn"]}))
    form.put("corpus.source", "hub:x")
    form.put("model.source", "hub:y")
    app.run()
    assert not app.exception, app.exception
    shown = {path for path in config_keys(GraphConfig) if form.widget(path) in app.session_state}
    assert shown == set(config_keys(GraphConfig)) - UNSHOWN


@pytest.mark.parametrize(("kind", "model"), [("probes", ProbeConfig), ("links", LinkConfig)])
def test_every_key_of_a_probe_and_a_network_has_a_field_or_is_the_graphs_own(kind: str, model: Any) -> None:
    own = {"version", "kind", "graph"}
    left = {path for path in config_keys(model) if not path.startswith(("corpus.", "model."))} - own
    assert set(TRAINED_FIELDS[kind]) == left
    assert all(label_of(path) for path in TRAINED_FIELDS[kind])


def test_fields_have_the_help_of_the_schema() -> None:
    assert field_help(GraphConfig, "settings.cooc.window") == "Words to either side that count as near."


def test_layers_and_heads_of_a_known_encoder_are_offered() -> None:
    facts = encoder_facts(BUNDLED)
    assert facts["layers"] == ["0", "1", "2", "3", "4", "5", "6"]
    assert len(facts["settings.attn.heads"]) == 12
    assert encoder_facts(None)["layers"] == []


# -- what is chosen is built ----------------------------------------------------------------------------------------
def test_the_settings_of_a_sample_reach_its_config(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "multiselect", "layers", ["0", "6"])
    fill(app, "multiselect", "corpus.parts_of_speech", ["NOUN", "VERB"])
    fill(app, "text_input", "corpus.columns.text", "body")
    config = built(app, studio)
    assert config.layers == [0, 6]
    assert config.corpus.parts_of_speech == ["NOUN", "VERB"]
    assert config.corpus.columns.text == "body"
    assert config.name == "Film review snippets (en)"


def test_heads_of_attention_are_chosen(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "button_group", "edges", ["attn"])
    fill(app, "multiselect", "settings.attn.heads", ["0", "11"])
    config = built(app, studio)
    assert (config.edges, config.settings.attn.heads) == (["attn"], [0, 11])


def test_trees_may_come_from_a_finished_probe_of_the_same_encoder(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    desk = FakeGraphs(ready=False)
    model = {"source": "bundled", "revision": None}
    desk.probe_runs = [
        {"id": "p3", "name": "another encoder", "status": Status.FINISHED, "plan": {"model": {"source": "/else"}}},
        {"id": "p2", "name": "still at work", "status": Status.RUNNING, "plan": {"model": model}},
        {"id": "p1", "name": "my probe", "status": Status.FINISHED, "plan": {"model": model},
         "best": {"layer": 4, "uuas": 0.71}},
    ]  # fmt: skip
    app = open_tab(open_explorer(graphs=desk), "Sample")
    fill(app, "segmented_control", "settings.dep.source", "probe")
    assert widget(app, "selectbox", "probe_run").options == ["my probe · layer 4, UUAS 0.710"]
    config = built(app, studio)
    assert (config.settings.dep.source, config.probe_run) == ("probe", "p1")


def test_without_a_probe_the_form_says_how_to_get_one(open_explorer: Callable[..., AppTest]) -> None:
    app = opened(open_explorer)
    fill(app, "segmented_control", "settings.dep.source", "probe")
    assert "No probe of this encoder has finished" in words(app)


def test_what_the_config_refuses_is_said_in_words(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "multiselect", "layers", ["the top one"])
    app.button(key="primary_action").click().run()
    assert "the top one" in words(app)
    assert not studio.graphs.built


def test_settings_stay_when_the_corpus_is_another(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "number_input", "settings.sim.k", 4)
    open_tab(app, "Your text")
    app.text_area(key="graph_text").input("The cat is on the mat.")
    assert built(app, studio).settings.sim.k == 4


def test_the_settings_of_a_graph_fill_the_form(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    desk = FakeGraphs()
    desk.graph.about["config"] = GraphConfig.model_validate(OTHER | {"corpus": {"source": "plots"}}).model_dump(
        mode="json"
    )
    app = open_explorer(graphs=desk, graph="new", like=READY)
    assert "The form holds the settings of the graph mine." in words(app)
    config = built(app, studio)
    assert config.settings.attn.heads == [1, 11]
    assert (config.corpus.source, config.name) == ("plots", "mine")


def test_half_a_name_is_no_source_and_gets_what_it_may_have_meant(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_explorer)
    app.session_state["graph_forms"][FORM].load(GraphConfig(corpus={"source": "chinese product"}))
    app.run()
    assert "**chinese product** is neither a sample nor a file" in words(app)
    app.button(key="graph_meant_0").click().run()
    assert "is neither a sample nor a file" not in words(app)
    assert built(app, studio).corpus.source == "zh-reviews"


# -- edges that suit the corpus -------------------------------------------------------------------------------------
def test_a_chinese_sample_gets_no_dependencies_and_the_form_says_why(
    open_explorer: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_explorer)
    fill(app, "selectbox", "corpus.source", "zh-reviews")
    assert "Dependencies are left out. There is no parser for Chinese here." in words(app)
    assert built(app, studio).edges == ["sim", "cooc"]


def test_a_pasted_chinese_text_gets_no_dependencies(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer, "Your text")
    app.text_area(key="graph_text").input("这家酒店的服务很好，房间也很干净。")
    assert built(app, studio).edges == ["sim", "cooc"]


def test_other_units_than_words_get_no_dependencies(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "segmented_control", "corpus.unit", "subword")
    assert "Trees hold between words, and the nodes are sub-words." in words(app)
    assert built(app, studio).edges == ["sim", "cooc"]


def test_dependencies_come_back_with_an_english_text(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "selectbox", "corpus.source", "zh-reviews")
    fill(app, "selectbox", "corpus.source", "reviews")
    assert built(app, studio).edges == ["dep", "sim", "cooc"]


def test_a_persons_own_choice_of_edges_stays(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "button_group", "edges", ["dep"])
    fill(app, "selectbox", "corpus.source", "zh-reviews")
    assert "Dependencies may be refused" in words(app)
    assert built(app, studio).edges == ["dep"]


def test_the_vocabulary_has_similarity_only(open_explorer: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_explorer)
    fill(app, "segmented_control", "vectors.mode", "vocabulary")
    assert built(app, studio).edges == ["sim"]
