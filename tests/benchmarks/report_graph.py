"""The part of ``docs/results/README.md`` that is about word graphs, rendered from the measured files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

__all__ = ["graphs"]

_PROBES = {
    "probe-reviews": "Structural probe on review snippets (silver trees)",
    "probe-ewt": "Structural probe on UD English EWT (gold trees)",
}


def graphs(folder: Path) -> str:
    """Return the tables of probes, link prediction, word similarity, stability and speed."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    parts = [_demo(found["demo"])] if "demo" in found else []
    parts += [_probe(words, found[name]) for name, words in _PROBES.items() if name in found]
    for name, render in (
        ("link-reviews", _link), ("similarity-reviews", _similarity), ("stability-reviews", _stability),
        ("paths", _paths), ("vectors", _vectors), ("browser", _browser),
    ):  # fmt: skip
        if name in found:
            parts.append(render(found[name]))
    return "\n".join(parts) or "Not measured yet.\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _bounded(one: dict[str, Any], name: str, digits: int = 3) -> str:
    if one.get(name) is None:
        return "–"
    bounds = [one.get(f"{name}_low"), one.get(f"{name}_high")]
    spread = "" if None in bounds else f" ({bounds[0]:.{digits}f} – {bounds[1]:.{digits}f})"
    return f"{one[name]:.{digits}f}{spread}"


def _demo(found: dict[str, Any]) -> str:
    article, first = found["article"], found["paths"][0]
    rows = [
        [str(row["layer"]), " → ".join(row["words"]) or str(row.get("reason")),
         f"{row['cost']:.2f}" if row["words"] else "–", f"{math.exp(-row['cost']):.1e}" if row["words"] else "–"]
        for row in found["by_layer"]
    ]  # fmt: skip
    hops = []
    for hop in first["hops"]:
        shares = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in hop["types"].items() if share >= 0.005)
        relations = ", ".join(f"{one['relation']} ({one['count']})" for one in hop["relations"]) or "none"
        hops.append([f"{hop['from']} → {hop['to']}", shares, relations, f"{hop['cost']:.2f}",
                     (hop["examples"] or ["–"])[0].replace("|", "/")])  # fmt: skip
    expected = found["expected"]
    where = (
        f"{' → '.join(expected['words'])} is there too, at cost {expected['cost']:.2f} in layer {found['layer']}."
        if expected
        else "It is not in this graph."
    )
    return (
        f"### What leads from “{article[0]}” to “{article[-1]}”\n\n{found['sentences']:,} review sentences, "
        f"{found['words']:,} words, dep, sim and cooc edges of equal weight, at least one word in between. The article "
        f"expects {' → '.join(article)}. {where}\n\n"
        + _table(["layer", "shortest path", "cost", "probability"], rows)
        + f"\nHop by hop in layer {found['layer']}:\n\n"
        + _table(["hop", "edge types", "relations", "cost", "an example"], hops)
    )


def _probe(title: str, found: dict[str, Any]) -> str:
    random = {row["layer"]: row for row in found.get("random") or []}
    rows = [
        [
            str(row["layer"]), _bounded(row, "uuas"), _bounded(row, "dspr"),
            *(_bounded({name: random[row["layer"]][name]}, name) if row["layer"] in random else "–"
              for name in ("uuas", "dspr")),
        ]
        for row in found["layers"]
    ]  # fmt: skip
    chain = found["chain"]
    rows.append(["linear chain", _bounded(chain, "uuas"), _bounded(chain, "dspr"), "", ""])
    split, best = found["sentences"], found["best"]["layer"]
    below = [str(row["layer"]) for row in found["layers"] if row["uuas_high"] < chain["uuas_low"]]
    text = (
        f"Rank {found['rank']}, {split['train']:,} sentences to train on, {split['held_out']:,} held out "
        f"({found['layers'][0]['edges']:,} edges); 95 % intervals over held-out sentences. "
        f"Layer {best} holds the trees best."
    )
    if below:
        text += f" Below the linear chain, with intervals apart: layer {', '.join(below)}."
    head = ["layer", "UUAS", "DSpr", "UUAS, random encoder", "DSpr, random encoder"]
    return f"### {title}\n\n{text}\n\n{_table(head, rows)}"


def _link(found: dict[str, Any]) -> str:
    rows = [
        [kind, found["titles"].get(method, method), _bounded(one, "auc"), _bounded(one, "mrr"), _bounded(one, "hits")]
        for kind, part in found["kinds"].items()
        for method, one in part["methods"].items()
    ]
    split = found["sentences"]
    return (
        f"### Link prediction on review snippets\n\nLayer {found['layer']}, {found['network']}; {split['train']:,} "
        f"sentences to train on, {split['validation']:,} to validate, {split['held_out']:,} held out. "
        f"{found['verdict']}\n\n" + _table(["edges", "method", "AUC", "MRR", "Hits@10 of 101"], rows)
    )


def _similarity(found: dict[str, Any]) -> str:
    layers = [row["layer"] for row in found["lists"][0]["layers"]]
    rows = [
        [str(one["list"]), f"{one['covered']} of {one['pairs']}",
         *("–" if row["spearman"] is None else f"{row['spearman']:.3f}" for row in one["layers"])]
        for one in found["lists"]
    ]  # fmt: skip
    text = (
        f"Spearman's ρ of cosines with people's scores, on the pairs whose words the corpus holds ({found['words']:,} "
        f"words of {found['sentences']:,} review sentences)."
    )
    head = ["list", "pairs covered", *(f"layer {layer}" for layer in layers)]
    return f"### Word similarity\n\n{text}\n\n{_table(head, rows)}"


def _stability(found: dict[str, Any]) -> str:
    rows = [
        [kind, f"{one['edges']:,}", f"{one['jaccard']:.2f} ({one['low']:.2f} – {one['high']:.2f})",
         f"{one['to_whole']:.2f}"]
        for kind, one in found["types"].items()
    ]  # fmt: skip
    return (
        f"### Stability of edges\n\n{found['rounds']} resamples of {found['sentences']:,} sentences, with replacement "
        "(each holds about 63 % of them, so even a stable corpus stays below 1).\n\n"
        + _table(["edges", "number", "Jaccard index of two resamples", "with the whole corpus"], rows)
    )


def _paths(found: dict[str, Any]) -> str:
    rows = []
    for name in ("mutual", "either"):
        part = found[name]
        one, five = part["one_path"], part["five_paths"]
        rows += [
            [f"{name}, one path", f"{one['ours']['median_ms']:.2f}", f"networkx {one['networkx']['median_ms']:.2f}",
             f"{one['share_of_networkx']:.2f}", "≤ 0.05 and ≤ 2 ms",
             "yes" if one["share_of_networkx"] <= 0.05 else "**share: no**"],
            [f"{name}, five shortest", f"{five['ours']['median_ms']:.2f}", f"scipy {five['scipy']['median_ms']:.0f}",
             f"{five['share_of_scipy']:.3f}", "≤ 0.1", "yes" if five["share_of_scipy"] <= 0.1 else "**no**"],
        ]  # fmt: skip
    mutual, either = found["mutual"], found["either"]
    equal = mutual["equal_lengths"]
    text = (
        f"{mutual['words']:,} words; `mutual` has {mutual['directed_edges']:,} directed edges, `either` "
        f"{either['directed_edges']:,}. Lengths equal networkx' on {equal['pairs']:,} pairs to "
        f"{equal['largest_difference']:.0e}; peak {either['peak_mb']:.0f} MB. A twentieth of networkx is not reached "
        "by Python over arrays; networkit's compiled search took an eighth of it on the same graph."
    )
    head = ["graph", "median ms", "peer, median ms", "share", "promised", "held"]
    return f"### Paths\n\n{text}\n\n{_table(head, rows)}"


def _vectors(found: dict[str, Any]) -> str:
    words, near = found["word_vectors"], found["neighbours"]
    rows = [
        [f"vectors of {words['sentences']:,} sentences at {words['layers']} layers", f"{words['batched_s']:.1f}",
         f"one sentence at a time {words['loop_s']:.1f}", f"{words['ratio']:.2f} ({words['ratio_low']:.2f} – "
         f"{words['ratio_high']:.2f})", "≥ 3", "yes" if words["ratio"] >= 3 else "**no**"],
        [f"exact {near['k']}-NN of {near['words']:,} words", f"{near['exact_s']:.1f}",
         f"faiss Flat {near['faiss_s']:.1f}",
         f"{near['ratio']:.2f} ({near['ratio_low']:.2f} – {near['ratio_high']:.2f})", "≥ 1",
         "yes" if near["ratio"] >= 1 else "**no**"],
    ]  # fmt: skip
    return (
        f"### Vectors and neighbours\n\n{words['threads']} thread(s) for every arm, arms in turns; peak of the search "
        f"{near['peak_mb']:.0f} MB.\n\n"
        + _table(["work", "seconds", "peer, seconds", "times faster", "promised", "held"], rows)
    )


def _browser(found: dict[str, Any]) -> str:
    rows: list[list[str]] = []

    def row(what: str, one: dict[str, Any], promised: str = "", held: bool | None = None) -> None:
        spread = f"{one['low_s']:.2f} – {one['high_s']:.2f}"
        rows.append([what, f"{one['median_s']:.2f}", spread, promised, {None: "", True: "yes", False: "**no**"}[held]])

    notes = []
    if paint := found.get("paint"):
        drawn = f"{paint['words_drawn']:,} words"
        row("bare page", paint["bare"])
        row("title of the explorer", paint["title"])
        for name, words in (("anew", "a new question"), ("again", "asked before")):
            ratio = paint[name]["ratio"]
            row(f"picture of {drawn}, {words}", paint[name], f"≤ 1.5 × bare; {ratio:.2f} ×", ratio <= 1.5)
        row("picture of 60 words, a new question", paint["small"], f"{paint['small']['ratio']:.2f} × bare")
    if query := found.get("query"):
        for name, one in query["views"].items():
            promised = "≤ 1" if one["words"] >= 2000 else ""
            row(f"word submitted to path painted; {name}", one, promised, one["median_s"] <= 1 if promised else None)
        memory = query["memory"]
        notes.append(
            f"The server's process takes {memory['before_mb']:.0f} MB before, {memory['opened_mb']:.0f} MB with the "
            f"graph open and {memory['highest_mb']:.0f} MB after all questions."
        )
    if layers := found.get("layers"):
        row("first question across layers of a server", layers["first"])
        row("later ones", layers["later"])
    if plan := found.get("map"):
        row(f"map of {plan['words']:,} words, software rendering", plan, "≤ 6", plan["median_s"] <= 6)
        notes.append(f"A server's first map takes {plan['first_of_server_s']:.1f} s.")
    words = max(part["graph_words"] for part in found.values())
    errors = sum(len(part["errors"]) for part in found.values())
    text = (
        f"A graph of {words:,} words in a real server and a real browser. {' '.join(notes)} "
        f"Errors in the console: {errors}."
    )
    return f"### In the browser\n\n{text}\n\n" + _table(["what", "median s", "quartiles", "promised", "held"], rows)
