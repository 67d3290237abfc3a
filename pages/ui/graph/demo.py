"""The explorer's demo: a graph of bundled review sentences, and the pair of words that the article asks for."""

from __future__ import annotations

from core.config.graph import GraphConfig

__all__ = ["ARTICLE_PATH", "DEMO_TAG", "demo_config"]

DEMO_TAG = "demo"
#: What the article that proposes such graphs expects between "the" and "cat".
ARTICLE_PATH = ("the", "is", "cat")


def demo_config() -> GraphConfig:
    """Return the demo: sentences of the bundled film reviews through the bundled encoder, all its layers."""
    return GraphConfig.model_validate(
        {
            "name": "demo: words of film reviews",
            "tags": [DEMO_TAG],
            "corpus": {"source": "reviews", "max_sentences": 600, "seed": 0},
            "edges": ["dep", "sim", "cooc"],
        }
    )
