"""What graphs, probes and graph networks reach on the bundled corpora: one small JSON a measurement.

python -m tests.benchmarks.graph_quality --minutes 20     # measures what is missing
python -m tests.benchmarks.graph_quality --list

With ``BERTLOOM_BENCH_DATA`` (a folder with ``word_similarity_en`` and ``ud_english_ewt``) also the correlation with
lists of similar words, and the probe against gold trees. What is there already is not measured again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config.graph import GraphConfig, LinkConfig, ProbeConfig

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "graph"
CACHE = Path(tempfile.gettempdir()) / "bertloom-bench-cache"
SENTENCES = 2000
#: Most sentences for vectors that are compared with lists of similar words: many of their words are rare.
MANY = 14_000


def probe_silver(sentences: int) -> dict[str, Any]:
    """Probe all layers on the bundled reviews with the parser's trees."""
    return _probe("reviews", sentences)


def probe_gold(sentences: int) -> dict[str, Any]:
    """Probe all layers on gold trees: the English Web Treebank."""
    packed = _bench() / "ud_english_ewt" / "en_ewt-ud-train.conllu.gz"
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "en_ewt-ud-train.conllu"
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        return _probe(str(plain), sentences)


def _probe(source: str, sentences: int) -> dict[str, Any]:
    from core.graph.probe.run import probe_corpus

    config = ProbeConfig.model_validate({"corpus": {"source": source, "max_sentences": sentences}})
    found = probe_corpus(config, cache=CACHE)
    found["corpus"] = Path(found["corpus"]).name
    return found


def link(sentences: int) -> dict[str, Any]:
    """Predict links on the graph of the bundled reviews, beside the baselines."""
    from core.graph.build import build_graph
    from core.graph.link.run import link_graph

    config = GraphConfig.model_validate({"corpus": {"source": "reviews", "max_sentences": sentences}})
    found = link_graph(LinkConfig(), build_graph(config, cache=CACHE), cache=CACHE).result
    found["reliability"].pop("bins")
    return found


def similarity(sentences: int) -> dict[str, Any]:
    """Correlate word vectors of the bundled reviews with lists of similar words, at every layer."""
    from core.graph.build import build_graph
    from core.graph.quality import read_similarity, similarity_lists, word_similarity

    corpus = {"source": "reviews", "max_sentences": sentences, "min_count": 1}
    config = GraphConfig.model_validate({"corpus": corpus, "edges": ["sim"]})
    graph = build_graph(config, cache=CACHE)
    lists = [word_similarity(graph, read_similarity(path), name=path.stem) for path in similarity_lists(_bench())]
    return {"corpus": "reviews", "words": len(graph), "sentences": len(graph.sentences), "lists": lists}


def stable(sentences: int) -> dict[str, Any]:
    """Resample the bundled reviews and see which dep and cooc edges stay."""
    from core.graph.corpus import read_corpus
    from core.graph.quality import stability

    config = GraphConfig.model_validate({"corpus": {"source": "reviews", "max_sentences": sentences}})
    return stability(read_corpus(config.corpus), config.settings)


def demo(sentences: int) -> dict[str, Any]:
    """Ask the explorer's built-in question: what leads from "the" to "cat" with a word in between, at every layer?"""
    from core.graph.build import build_graph
    from core.graph.query import PathQuery, by_layer, find_paths
    from pages.ui.graph.demo import ARTICLE_PATH, demo_config

    config = demo_config()
    assert config.corpus.max_sentences == sentences, "the demo has another size now"
    graph = build_graph(config, cache=CACHE)
    question = {"from": ARTICLE_PATH[0], "to": ARTICLE_PATH[-1], "min_between": 1}
    answer = find_paths(graph, PathQuery.model_validate({**question, "k": 5}))
    rows = by_layer(graph, PathQuery.model_validate(question))
    through = PathQuery.model_validate({**question, "through": [ARTICLE_PATH[1]]})
    expected = find_paths(graph, through)["paths"]
    return {
        "article": list(ARTICLE_PATH), "sentences": len(graph.sentences), "words": len(graph), "paths": answer["paths"],
        "layer": answer["layer"], "counts": {word: int(graph.counts[graph.index()[word]]) for word in ARTICLE_PATH},
        "expected": expected[0] if expected else None,
        "by_layer": [
            {"layer": row["layer"], **({name: row["paths"][0][name] for name in ("words", "cost", "probability")}
                                       if row["paths"] else {"words": [], "reason": row["reason"]})}
            for row in rows
        ],
    }  # fmt: skip


#: Name → what measures it, sentences, whether it needs BERTLOOM_BENCH_DATA; in the order of what they are worth.
MEASUREMENTS: dict[str, tuple[Callable[[int], dict[str, Any]], int, bool]] = {
    "probe-reviews": (probe_silver, SENTENCES, False),
    "link-reviews": (link, SENTENCES, False),
    "probe-ewt": (probe_gold, SENTENCES, True),
    "demo": (demo, 600, False),
    "stability-reviews": (stable, SENTENCES, False),
    "similarity-reviews": (similarity, MANY, True),
}


def _bench() -> Path:
    return Path(os.environ["BERTLOOM_BENCH_DATA"])


def main() -> None:
    """Measure what is missing until the minutes are over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="start nothing after this time")
    parser.add_argument("--only", choices=list(MEASUREMENTS), action="append", help="measure these only")
    parser.add_argument("--list", action="store_true", help="say what is there and what is missing")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    RESULTS.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    for name, (measure, sentences, bench) in MEASUREMENTS.items():
        file = RESULTS / f"{name}.json"
        if options.list:
            print(f"{name}: {'there' if file.exists() else 'missing'}")
        if options.list or file.exists() or (options.only and name not in options.only):
            continue
        if bench and "BERTLOOM_BENCH_DATA" not in os.environ:
            print(f"{name}: left out, BERTLOOM_BENCH_DATA is not set", flush=True)
            continue
        if time.monotonic() > until:
            print(f"{name}: left for the next time", flush=True)
            continue
        started = time.perf_counter()
        found = {"measurement": name, **measure(sentences), "seconds": 0.0}
        found["seconds"] = round(time.perf_counter() - started, 1)
        file.write_text(json.dumps(_rounded(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(name, f"{found['seconds']} s", flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
