"""How good a graph is, seen from outside: similarity lists, held-out sentences, resampled corpora.

Each measure says what it was computed on and how many items it covers.
"""

from core.graph.quality.lists import BENCH_DATA, MOST_BYTES, parse_similarity, read_similarity, similarity_lists
from core.graph.quality.plausibility import held_out_sentences, path_plausibility
from core.graph.quality.similarity import word_similarity
from core.graph.quality.stability import stability

__all__ = [
    "BENCH_DATA",
    "MOST_BYTES",
    "held_out_sentences",
    "parse_similarity",
    "path_plausibility",
    "read_similarity",
    "similarity_lists",
    "stability",
    "word_similarity",
]
