"""Structural probes: how much of its sentences' trees each layer of an encoder holds."""

from core.graph.probe.scores import Scores, chain_scores, score
from core.graph.probe.trees import heads_from_edges, spanning_edges, tree_distances, word_mask

__all__ = ["Scores", "chain_scores", "heads_from_edges", "score", "spanning_edges", "tree_distances", "word_mask"]
