"""Sentences of a text, and which of them sum it up: the first ones, or the most central ones (LexRank)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from core.data.tasks.words import split_words

__all__ = ["bag_of", "central", "chosen", "lexrank", "sentences_of_text", "sentences_of_words"]

#: What ends a sentence: a full stop before what may begin another one, a Chinese stop, the end of a line.
_END = re.compile(r"[.!?][\"')\]\u201d\u2019]*(?=\s+[\"'(\[\u201c\u2018]*[^\s\da-z])|[。！？][」』\u201d\u2019）]*|\n")
_STOPS = frozenset(".!?。！？")
_CLOSING = frozenset("\"')]\u201d\u2019」』）")
#: Sentences of a text that are compared with one another: all pairs are.
MOST = 400
_DAMPING = 0.85


def sentences_of_text(text: str) -> list[str]:
    """Split a text into sentences: behind ``. ! ?`` before a capital, behind Chinese stops, and at line ends.

    An abbreviation before a name (``Mr. Berg``) ends a sentence too: the rule knows no words.
    """
    ends = [match.end() for match in _END.finditer(text)]
    parts = [text[begin:end].strip() for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    return [part for part in parts if part]


def sentences_of_words(words: Sequence[str], tags: Sequence[str]) -> list[tuple[int, int]]:
    """Return (first word, word behind the last) of each sentence; none ends within an entity.

    Parameters
    ----------
    words, tags
        Of shape (words,); IOB2.
    """
    found, begin = [], 0
    for at, word in enumerate(words):
        ends = word in _STOPS or (word in _CLOSING and at > begin and words[at - 1] in _STOPS)
        follows, tag = (words[at + 1], tags[at + 1]) if at + 1 < len(words) else ("", "O")
        if ends and follows not in _CLOSING and follows not in _STOPS and not tag.startswith("I-"):
            found.append((begin, at + 1))
            begin = at + 1
    if begin < len(words):
        found.append((begin, len(words)))
    return found


def chosen(bags: Sequence[Sequence[str]], method: str, count: int) -> list[int]:
    """Return which sentences sum a text up, in the text's order.

    Parameters
    ----------
    bags
        Words of each sentence, in lower case.
    method
        ``lead`` or ``central``.
    count
        How many; fewer where there are not as many.
    """
    if method == "lead" or len(bags) <= count:
        return list(range(min(count, len(bags))))
    return central(bags, count)


def central(bags: Sequence[Sequence[str]], count: int) -> list[int]:
    """Return the sentences with the highest LexRank, in the text's order; of equal ones the earlier."""
    # Rounded, so that the last digits of another processor's sums decide nothing.
    scores = [round(score, 9) for score in lexrank(bags[:MOST])]
    best = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:count]
    return sorted(best)


def lexrank(bags: Sequence[Sequence[str]]) -> list[float]:
    """Return the continuous LexRank of sentences (Erkan and Radev 2004, section 4): their shares in a random walk.

    A walk goes from a sentence to another in proportion to the cosine of their tf-idf vectors, and with probability
    0.15 to any. The inverse document frequency is that of the text's own sentences, smoothed as in scikit-learn:
    ln((1 + sentences) / (1 + sentences with the word)) + 1.

    Parameters
    ----------
    bags
        Words of each sentence.

    Returns
    -------
    list of float
        One a sentence, of sum 1.
    """
    import networkx

    frequency = Counter(word for bag in bags for word in set(bag))
    vectors = []
    for bag in bags:
        counts = Counter(bag)
        vector = {word: n * (math.log((1 + len(bags)) / (1 + frequency[word])) + 1) for word, n in counts.items()}
        norm = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        vectors.append({word: value / norm for word, value in vector.items()})
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(bags)))
    for one, vector in enumerate(vectors):
        for other in range(one, len(vectors)):
            cosine = sum(value * vectors[other].get(word, 0.0) for word, value in vector.items())
            if cosine > 0:
                graph.add_edge(one, other, weight=cosine)
    ranks = networkx.pagerank(graph, alpha=_DAMPING, weight="weight", tol=1e-12, max_iter=1000)
    return [float(ranks[at]) for at in range(len(bags))]


def bag_of(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case, without signs."""
    return [word.lower() for word, _, _ in split_words(sentence) if any(char.isalnum() for char in word)]
