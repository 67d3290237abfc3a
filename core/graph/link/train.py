"""Training of a graph network: every step hides one part of the sentences and predicts the links it shows first.

Imports torch: only workers and tests import this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from core.graph.link.metrics import auc
from core.graph.link.negatives import MatchedNodes
from core.graph.link.network import LinkNetwork

__all__ = ["NetworkSetting", "Task", "score_pairs", "train_network"]

#: Links of a kind a step at most; more are drawn anew each time.
LINKS = 50_000
#: Epochs without a better AUC before the training stops.
PATIENCE = 20
_BLOCK = 200_000


@dataclass
class Task:
    """What one part of the sentences asks of a network.

    Parameters
    ----------
    edges
        Relation → edges that the network may hear along, int64 of shape (edges, 2); none of them is in `links`.
    links
        Kind → links to predict, int64 of shape (links, 2).
    matched
        Kind → where negatives come from.
    """

    edges: dict[str, np.ndarray]
    links: dict[str, np.ndarray]
    matched: dict[str, MatchedNodes]
    _tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
        """Return the edges as tensors of shape (2, edges)."""
        if not self._tensors:
            self._tensors = {
                name: torch.from_numpy(np.array(edges.T, dtype=np.int64, order="C")).to(device)
                for name, edges in self.edges.items()
            }
        return self._tensors


@dataclass(frozen=True)
class NetworkSetting:
    """How the network is built and trained; see :class:`~core.config.graph.LinkConfig`."""

    network: Literal["sage", "gat"] = "sage"
    hidden: int = 64
    epochs: int = 100
    lr: float = 5e-3
    dropout: float = 0.2
    seed: int = 0


def train_network(
    vectors: np.ndarray,
    training: list[Task],
    validation: Task,
    headline: str,
    setting: NetworkSetting,
    *,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
    log: Callable[[int, float, float], None] = lambda epoch, loss, value: None,
) -> tuple[LinkNetwork, int, float]:
    """Train a network on several tasks in turns and keep it as it was at its best.

    Parameters
    ----------
    vectors
        Word vectors, float32 of shape (words, width).
    training
        One task a fold of the training sentences; an epoch goes through all of them.
    validation
        The task that decides when to stop.
    headline
        The kind of link whose AUC on `validation` decides.
    setting
        Network, width, epochs, rate, dropout, seed.
    device
        Where to compute.
    check
        Called before every step; may raise to stop the work.
    log
        Called after each epoch with its number (from 1), the mean loss, and the AUC on `validation`.

    Returns
    -------
    (LinkNetwork, int, float)
        The network in evaluation mode, its best epoch and the AUC there.
    """
    inputs = torch.from_numpy(np.asarray(vectors, dtype=np.float32)).to(device)
    rng = np.random.default_rng([0x11B4, setting.seed])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        network = LinkNetwork(
            inputs.shape[1], setting.hidden, list(validation.edges), list(validation.links),
            network=setting.network, dropout=setting.dropout,
        ).to(device)  # fmt: skip
        optimiser = torch.optim.Adam(network.parameters(), lr=setting.lr, weight_decay=1e-4)
        held = validation.links[headline]
        against = validation.matched[headline].sample(held, np.random.default_rng([0x11B5, setting.seed]))
        good, kept, best = against >= 0, _copy(network), (0, -math.inf)
        rivals = np.stack([held[good, 0], against[good]], axis=1)
        for epoch in range(1, setting.epochs + 1):
            losses = []
            network.train()
            for number in rng.permutation(len(training)).tolist():
                check()
                loss = _loss(network, inputs, training[number], rng, device)
                if loss is None:
                    continue
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                losses.append(float(loss.detach()))
            check()
            scores = score_pairs(network, inputs, validation, {headline: np.concatenate([held, rivals])}, device=device)
            value = auc(scores[headline][: len(held)], scores[headline][len(held) :])
            log(epoch, float(np.mean(losses)) if losses else float("nan"), value)
            if value > best[1]:
                kept, best = _copy(network), (epoch, value)
            if epoch - best[0] >= PATIENCE:
                break
    network.load_state_dict(kept)
    network.eval()
    return network, best[0], best[1]


def score_pairs(
    network: LinkNetwork,
    vectors: torch.Tensor | np.ndarray,
    task: Task,
    pairs: Mapping[str, np.ndarray],
    *,
    device: torch.device | str = "cpu",
) -> dict[str, np.ndarray]:
    """Score pairs by kind over a task's edges.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    vectors
        Word vectors, float32 of shape (words, width).
    task
        Whose edges the network hears along.
    pairs
        Kind → pairs, shape (pairs, 2).

    Returns
    -------
    dict
        Kind → log odds, float64 of shape (pairs,).
    """
    if isinstance(vectors, np.ndarray):
        vectors = torch.from_numpy(np.asarray(vectors, dtype=np.float32)).to(device)
    network.eval()
    found: dict[str, np.ndarray] = {}
    with torch.no_grad():
        states = network(vectors, task.tensors(device))
        for kind, wanted in pairs.items():
            parts = [np.empty(0)]
            for at in range(0, len(wanted), _BLOCK):
                block = torch.from_numpy(np.array(wanted[at : at + _BLOCK], dtype=np.int64)).to(device)
                parts.append(network.score(states, kind, block).double().cpu().numpy())
            found[kind] = np.concatenate(parts)
    return found


def _loss(
    network: LinkNetwork, inputs: torch.Tensor, task: Task, rng: np.random.Generator, device: torch.device | str
) -> torch.Tensor | None:
    """Return the sum over kinds of the mean cross entropy of links and as many negatives; None without links."""
    states = network(inputs, task.tensors(device))
    total: torch.Tensor | None = None
    for kind, links in task.links.items():
        if len(links) > LINKS:
            links = links[rng.choice(len(links), LINKS, replace=False)]
        targets = task.matched[kind].sample(links, rng)
        good = targets >= 0
        if not good.any():
            continue
        pairs = np.concatenate([links[good], np.stack([links[good, 0], targets[good]], axis=1)])
        labels = torch.zeros(len(pairs), device=device)
        labels[: int(good.sum())] = 1
        logits = network.score(states, kind, torch.from_numpy(pairs).to(device))
        loss = binary_cross_entropy_with_logits(logits, labels)
        total = loss if total is None else total + loss
    return total


def _copy(network: LinkNetwork) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
