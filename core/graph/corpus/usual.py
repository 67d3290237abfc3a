"""Which edge types suit a corpus: trees need words, and a parser for their language or a file that holds them.

Cheap: of a file only its first rows are looked at, of a hub data set nothing.
"""

from __future__ import annotations

from itertools import islice

from core.config.graph import CorpusConfig, EdgeType, GraphConfig
from core.data.language import UNKNOWN, guess_language
from core.data.samples import sample, sample_names
from core.errors import BertloomError
from core.graph.corpus.sources import open_corpus
from core.graph.corpus.text import Tree

__all__ = ["usual_edges"]

#: What the language is told from, as when the corpus is read.
_TEXTS = 200
_CHARACTERS = 2000
_UNITS = {"subword": "sub-words", "character": "characters"}
_NAMES = {"zh": "Chinese"}


def usual_edges(config: CorpusConfig, *, text: str | None = None) -> tuple[list[EdgeType], str | None]:
    """Return the edge types that a graph of this corpus has unless somebody chooses others.

    Parameters
    ----------
    config
        The corpus.
    text
        The text itself, where it is in no file yet.

    Returns
    -------
    edges, reason
        The schema's default; without ``dep``, and why, where the corpus would have no trees. A corpus that cannot be
        looked at gets the default: building it says what is wrong.
    """
    usual: list[EdgeType] = list(GraphConfig().edges)
    without: list[EdgeType] = [kind for kind in usual if kind != "dep"]
    if config.unit != "word":
        return without, f"Trees hold between words, and the nodes are {_UNITS[config.unit]}."
    try:
        language, trees = _told(config, text)
    except (BertloomError, OSError, RuntimeError, ValueError):
        return usual, None
    if trees or language in ("", "en"):
        return usual, None
    reason = "The language is not known, and only English has a parser here."
    if language != UNKNOWN:
        reason = f"There is no parser for {_NAMES.get(language, f'the language {language}')} here."
    return without, f"{reason} A CoNLL-U file, or a structural probe, would bring trees."


def _told(config: CorpusConfig, text: str | None) -> tuple[str, bool]:
    """Return the corpus' language (empty: not looked at), and whether it brings trees."""
    if text is not None:
        return config.language if config.language != "auto" else guess_language([text[: _TEXTS * _CHARACTERS]])[
            0
        ], False
    named = config.language if config.language != "auto" else ""
    if text is not None:
        return named or guess_language([text[: _TEXTS * _CHARACTERS]])[0], False
    if config.source in sample_names():
        return named or sample(config.source).language, False
    if config.source.startswith("hub:"):
        return named, False
    texts = list(islice(open_corpus(config).texts(), _TEXTS))
    if any(isinstance(one.content, Tree) and one.content.heads is not None for one in texts):
        return "", True
    return named or guess_language(one.start(_CHARACTERS) for one in texts)[0], False
