"""What a structural probe and a graph network found: figures, tables, and a sentence that says who won."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.render.graph_figures import link_figure, probe_figure
from core.render.look import CONFIG
from pages.ui.format import number, plain
from pages.ui.graph.looks import edge_name, graph_look
from pages.ui.graph.panels import show_notices

__all__ = ["draw_links", "draw_probe", "link_rows", "probe_rows", "probe_verdict"]


def probe_rows(results: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a probe's figures by layer and those of the linear chain.

    Parameters
    ----------
    results
        What the run left: under ``details.probe`` ``layers`` and ``random`` [{"layer", "uuas", "dspr"}] and ``chain``
        {"uuas", "dspr"}.
    """
    details = _details(results, "probe")
    rows = [dict(row) for row in details.get("layers") or [] if isinstance(row, Mapping)]
    random = {row["layer"]: row for row in details.get("random") or [] if isinstance(row, Mapping)}
    for row in rows:
        other = random.get(row["layer"])
        if other:
            row.setdefault("random_uuas", other.get("uuas"))
            row.setdefault("random_dspr", other.get("dspr"))
    return rows, dict(details.get("chain") or {})


def _details(results: Mapping[str, Any], kind: str) -> dict[str, Any]:
    details = dict(results.get("details") or results)
    return dict(details.get(kind) or details)


def draw_probe(results: Mapping[str, Any]) -> None:
    """Draw UUAS and DSpr by layer, and say in words whether the best layer beats the baselines."""
    rows, chain = probe_rows(results)
    if not rows:
        return
    details = _details(results, "probe")
    _verdict(*probe_verdict(rows, chain))
    st.plotly_chart(
        probe_figure(rows, graph_look(), chain=chain), theme=None, config=CONFIG, key="graph_probe_figure",
        alt="UUAS and DSpr of the structural probe by layer",
    )  # fmt: skip
    st.dataframe(
        [
            {
                "layer": row["layer"], "UUAS": number(row.get("uuas"), 3),
                "95 % interval": f"{number(row.get('uuas_low'), 3)} – {number(row.get('uuas_high'), 3)}",
                "DSpr": number(row.get("dspr"), 3), "UUAS, random weights": number(row.get("random_uuas"), 3),
                "DSpr, random weights": number(row.get("random_dspr"), 3),
            }
            for row in rows
        ],
        hide_index=True, width="stretch", height="content", key="graph_probe_table",
    )  # fmt: skip
    show_notices(details)


def probe_verdict(rows: list[dict[str, Any]], chain: Mapping[str, float]) -> tuple[bool, str]:
    """Say whether the best layer's interval lies above the linear chain, layer 0 and random weights."""
    scored = [row for row in rows if row.get("uuas") is not None]
    if not scored:
        return False, "No layer could be scored."
    best = max(scored, key=lambda row: row["uuas"])
    rivals: dict[str, float | None] = {
        "the linear chain": chain.get("uuas"),
        "layer 0": next((row["uuas"] for row in scored if row["layer"] == 0 and row is not best), None),
        "random weights": max((row["random_uuas"] for row in rows if row.get("random_uuas") is not None), default=None),
    }
    known = {name: value for name, value in rivals.items() if value is not None}
    low = float(best["uuas"] if best.get("uuas_low") is None else best["uuas_low"])
    above = [name for name, value in known.items() if value < low]
    figures = ", ".join(f"{name} {number(value, 3)}" for name, value in known.items())
    head = f"Layer {best['layer']} holds the trees best: UUAS {number(best['uuas'], 3)}"
    if not known:
        return True, f"{head}; nothing was measured beside it."
    if len(above) == len(known):
        return True, f"{head}, above all baselines ({figures})."
    failed = " and ".join(name for name in known if name not in above)
    return False, f"{head}, but it does not beat {failed} ({figures})."


def link_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the held-out scores of a graph network and its baselines.

    Parameters
    ----------
    results
        What the run left: under ``details.link`` ``kinds`` {type: {"methods": {name: {"auc", "auc_low", …}}}} and
        ``titles``.

    Returns
    -------
    list of dict
        ``method``, ``type``, ``auc`` with ``low`` and ``high``, ``mrr``, ``hits`` (Hits@10).
    """
    details = _details(results, "link")
    titles = details.get("titles") or {}
    return [
        {
            "method": str(titles.get(name, name)), "type": kind, "auc": scores.get("auc"), "low": scores.get("auc_low"),
            "high": scores.get("auc_high"), "mrr": scores.get("mrr"), "hits": scores.get("hits"),
        }
        for kind, one in (details.get("kinds") or {}).items()
        for name, scores in (one.get("methods") or {}).items()
    ]  # fmt: skip


def draw_links(results: Mapping[str, Any]) -> None:
    """Draw the scores of the network and its baselines, and say whether it beats them."""
    rows = link_rows(results)
    if not rows:
        return
    details = _details(results, "link")
    for one in (details.get("kinds") or {}).values():
        if one.get("verdict"):
            _verdict(bool(one.get("beats")), str(one["verdict"]))
    st.plotly_chart(
        link_figure(rows, graph_look()), theme=None, config=CONFIG, key="graph_link_figure",
        alt="AUC of held-out edges by method",
    )  # fmt: skip
    st.dataframe(
        [
            {
                "method": row["method"], "edges": edge_name(row["type"]), "AUC": number(row["auc"], 3),
                "95 % interval": f"{number(row['low'], 3)} – {number(row['high'], 3)}",
                "MRR": number(row["mrr"], 3), "Hits@10": number(row["hits"], 3),
            }
            for row in rows
        ],
        hide_index=True, width="stretch", height="content", key="graph_link_table",
    )  # fmt: skip
    show_notices(details)


def _verdict(good: bool, words: str) -> None:
    if good:
        st.success(plain(words, 400), icon=":material/check_circle:")
    else:
        st.warning(plain(words, 400), icon=":material/balance:")
