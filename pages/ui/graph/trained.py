"""Probes and graph networks of a graph: what the newest ones found, and training another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config import LinkConfig, ProbeConfig, plan_to_yaml
from core.errors import BertloomError
from core.graph.types import WordGraph
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import error_box, run_url, status_markdown
from pages.ui.format import plain
from pages.ui.graph.fields import grid
from pages.ui.graph.form import Form, form, message_of
from pages.ui.graph.found import draw_links, draw_probe
from pages.ui.graph.links import explorer_link
from pages.ui.graph.state import Explorer
from pages.ui.leaving import go

__all__ = ["TRAINED_FIELDS", "trained_parts"]

#: The fields of each form; corpus and encoder are the graph's own, so that layers can be compared.
TRAINED_FIELDS: dict[str, tuple[str, ...]] = {
    "probes": (
        "rank", "epochs", "lr", "held_out", "layers", "random_encoder", "name", "tags", "runtime.seed",
        "runtime.device", "runtime.threads", "runtime.backend",
    ),
    "links": (
        "network", "calibration", "layer", "hidden", "epochs", "lr", "dropout", "held_out", "min_probability", "name",
        "tags", "runtime.seed", "runtime.device", "runtime.threads", "runtime.backend",
    ),
}  # fmt: skip


def trained_parts(studio: Studio, now: Explorer, graph: WordGraph) -> None:
    """Draw a card for structural probes and one for graph networks."""
    for kind, title, about, draw in _TRAINED:
        with st.container(border=True, key=f"graph_{kind}"):
            runs = list(getattr(studio.graphs, kind)())
            ready = [run for run in runs if run["status"] == Status.FINISHED]
            # What belongs to this graph comes first; the newest of any other is better than nothing, under its name.
            own = next((run for run in ready if _belongs(run, now.query.graph, graph)), None)
            chosen = own or (ready[0] if ready else None)
            results = studio.graphs.results(chosen["id"]) if chosen else None
            st.markdown(f"**{title}**" + (f" :gray[{plain(chosen['name'], 60)}]" if chosen else ""))
            st.caption(about)
            if chosen and not own:
                st.caption(":material/info: Of another graph: none was trained on this one yet.")
            if results:
                draw(results)
            _open(now, chosen, kind)
            _train(studio, now, graph, kind, runs)


def _belongs(run: Mapping[str, Any], source: str, graph: WordGraph) -> bool:
    """Whether a run was trained on this graph, or on its corpus with its encoder."""
    plan = run.get("plan") or {}
    if run.get("kind") == "link":
        return source in (run.get("id"), plan.get("graph"))
    built = graph.about.get("config") or {}
    return all(
        (plan.get(part) or {}).get(name) == (built.get(part) or {}).get(name)
        for part, names in (("corpus", ("source", "max_sentences", "unit")), ("model", ("source", "revision")))
        for name in names
    )


def _open(now: Explorer, run: Mapping[str, Any] | None, kind: str) -> None:
    """Lead to the run, and from a graph network to the graph that has its edges."""
    if run is None:
        return
    row = st.container(horizontal=True, gap="medium")
    row.page_link(
        st.session_state[keys.PAGES]["run"], label="Its run", icon=":material/monitoring:",
        query_params=run_url(str(run["id"])), width="content",
    )  # fmt: skip
    if kind == "links" and run["id"] != now.query.graph:
        explorer_link(row, "The graph with its predicted links", {keys.GRAPH: str(run["id"])}, key="graph_linked")


# -- training another -----------------------------------------------------------------------------------------------
def _train(studio: Studio, now: Explorer, graph: WordGraph, kind: str, runs: list[dict[str, Any]]) -> None:
    """Offer to train one, or show where the one that is at work stands."""
    busy = next((run for run in runs if run["status"] == Status.QUEUED or run["status"].active), None)
    if busy:
        row = st.container(horizontal=True, vertical_alignment="center", gap="small")
        row.markdown(status_markdown(busy["status"]), width="content")
        row.page_link(
            st.session_state[keys.PAGES]["run"], label=plain(busy["name"], 60), icon=":material/monitoring:",
            query_params=run_url(str(busy["id"])),
        )  # fmt: skip
        return
    reason = _refusal(kind, graph)
    if reason:
        st.caption(f":material/info: {reason}")
        return
    now_form = _form(now, graph, kind)
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    label = "Train a probe on this corpus" if kind == "probes" else "Train a graph network on this graph"
    pressed = row.button(label, icon=":material/model_training:", key=f"graph_train_{kind}")
    with row.popover("Settings", icon=":material/tune:", key=f"graph_{kind}_settings"):
        _settings(now_form, graph, kind)
    if pressed:
        _start(studio, now_form, kind)


def _refusal(kind: str, graph: WordGraph) -> str | None:
    about = graph.about
    if not about.get("config") or not graph.layers:
        return "This needs a graph that was built here with an encoder."
    if about["config"].get("vectors", {}).get("mode") == "vocabulary":
        return "The encoder's vocabulary has no sentences: there is nothing to learn from."
    if kind == "probes" and about.get("trees") not in ("gold", "silver"):
        return "A probe learns trees, and this graph has none: take English text or a CoNLL-U file, and words as unit."
    return None


def _form(now: Explorer, graph: WordGraph, kind: str) -> Form:
    """Return the form of a kind; another graph fills it anew."""
    built = graph.about["config"]
    name = str(built.get("name") or "graph")
    start: ProbeConfig | LinkConfig
    if kind == "probes":
        start = ProbeConfig.model_validate(
            {"name": f"probe: {name}"[:120], "corpus": built["corpus"], "model": built["model"]}
        )
    else:
        start = LinkConfig(name=f"links: {name}"[:120], graph=now.query.graph)
    found = form(f"graph_{kind}_form", start)
    if found.origin != now.query.graph:
        found.load(start, origin=now.query.graph)
    return found


def _settings(now_form: Form, graph: WordGraph, kind: str) -> None:
    layers = [str(layer) for layer in graph.layers]
    grid(now_form, TRAINED_FIELDS[kind], columns=2, options={"layers": layers})
    now_form.sync()
    try:
        config = now_form.config()
    except ValidationError as error:
        st.caption(f":red[:material/error: {plain(message_of(error), 400)}]")
        return
    word = kind.removesuffix("s")
    st.download_button(
        "Settings as YAML", plan_to_yaml(config), file_name=f"{word}.yaml", mime="application/yaml",
        icon=":material/download:", key=f"graph_{kind}_yaml", on_click="ignore",
        help=f"`bertloom run {word}.yaml` trains exactly this.",
    )  # fmt: skip


def _start(studio: Studio, now_form: Form, kind: str) -> None:
    try:
        config = now_form.config()
        run_id = studio.graphs.probe(config) if kind == "probes" else studio.graphs.link(config)
    except ValidationError as error:
        error_box(message_of(error), title="The training was not started")
        return
    except BertloomError as error:
        error_box(error, title="The training was not started")
        return
    go("run", run_url(run_id))


#: Method of the desk, title, what it is, how its results are drawn.
_TRAINED: tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], None]], ...] = (
    (
        "probes",
        "Structural probe",
        "Does a layer hold the trees of its sentences? UUAS and DSpr beside the linear chain and random weights.",
        draw_probe,
    ),
    (
        "links",
        "Graph network",
        "Does a network over this graph predict edges that held-out sentences show first, better than cosine, common "
        "neighbours or Adamic–Adar?",
        draw_links,
    ),
)
