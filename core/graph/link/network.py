"""The graph network: relational GraphSAGE or GAT of two layers, and a scorer a kind of link.

Imports torch: only workers and tests import this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import gelu

__all__ = ["LinkNetwork"]

#: Attention heads of a GAT layer.
HEADS = 4
_NODE = "word"


class LinkNetwork(nn.Module):
    """Gives every word a vector from its neighbours' and its own, and every pair of words a score.

    The word vectors are first projected to the hidden width, since the sums over neighbours dominate the cost. Each
    layer adds up one convolution a relation, and the projected input of the layer itself.

    Parameters
    ----------
    width
        Size of a word vector.
    hidden
        Width of the hidden layers.
    relations
        Names of the relations along which words hear of each other.
    kinds
        Kinds of links that are scored.
    network
        ``sage`` (means of neighbours) or ``gat`` (attention over neighbours).
    dropout
        Dropout between layers.

    References
    ----------
    Schlichtkrull et al., "Modeling Relational Data with Graph Convolutional Networks", ESWC 2018; Hamilton et al.,
    "Inductive Representation Learning on Large Graphs", NeurIPS 2017; Veličković et al., "Graph Attention Networks",
    ICLR 2018.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        relations: Sequence[str],
        kinds: Sequence[str],
        *,
        network: Literal["sage", "gat"] = "sage",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.inputs = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(_convolution(network, hidden, relations) for _ in range(2))
        self.skips = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.scorers = nn.ModuleDict(
            {kind: nn.Sequential(nn.Linear(3 * hidden, hidden), nn.GELU(), nn.Linear(hidden, 1)) for kind in kinds}
        )
        self.dropout = nn.Dropout(dropout)
        self.scale = math.sqrt(width)  # the entries of vectors of length 1 are small

    def forward(self, vectors: torch.Tensor, edges: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return a vector a word.

        Parameters
        ----------
        vectors
            Word vectors, shape (words, width).
        edges
            Relation → edges of shape (2, edges): who tells, who hears.

        Returns
        -------
        torch.Tensor
            Shape (words, hidden).
        """
        states = gelu(self.inputs(self.dropout(vectors * self.scale)))
        indices = {(_NODE, name, _NODE): index for name, index in edges.items()}
        for number, (layer, skip, norm) in enumerate(zip(self.layers, self.skips, self.norms, strict=True)):
            states = self.dropout(states)
            heard = layer({_NODE: states}, indices).get(_NODE)
            states = norm(skip(states) if heard is None else skip(states) + heard)
            if number == 0:
                states = gelu(states)
        return states

    def score(self, states: torch.Tensor, kind: str, pairs: torch.Tensor) -> torch.Tensor:
        """Return the log odds of links of a kind; a pair and its reverse may differ.

        Parameters
        ----------
        states
            What :meth:`forward` returned.
        kind
            Kind of link.
        pairs
            Source and target, shape (pairs, 2).
        """
        one, other = states[pairs[:, 0]], states[pairs[:, 1]]
        return self.scorers[kind](torch.cat([one, other, one * other], dim=1)).squeeze(1)


def _convolution(network: str, hidden: int, relations: Sequence[str]) -> nn.Module:
    from torch_geometric.nn import GATConv, HeteroConv, SAGEConv

    if network == "gat":
        heads = HEADS if hidden % HEADS == 0 else 1
        convolutions = {
            (_NODE, name, _NODE): GATConv(hidden, hidden // heads, heads=heads, add_self_loops=False)
            for name in relations
        }
    else:
        convolutions = {
            (_NODE, name, _NODE): SAGEConv(hidden, hidden, aggr="mean", root_weight=False) for name in relations
        }
    return HeteroConv(convolutions, aggr="sum")
