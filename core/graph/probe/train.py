"""Training of structural probes: a projection a layer whose squared distances follow those of the trees.

Imports torch: only workers and tests import this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.training.batches import BatchSettings, plan_epoch

__all__ = ["Probe", "Setting", "predicted_distances", "probe_loss", "train_probes"]

#: Sentences a step.
BATCH = 20
#: Epochs without a better loss before a layer stops.
PATIENCE = 4
#: A loss counts as better if it is lower by this share.
BETTER = 1e-3
#: Decay a step of the moving average of the projection, which is what is judged and kept: with some hundred steps of
#: Adam at a constant rate the last step alone is noise worth a point of UUAS (Polyak & Juditsky 1992).
DECAY = 0.99


@dataclass(frozen=True)
class Setting:
    """How probes are trained.

    Parameters
    ----------
    rank
        Rows of the projection.
    epochs
        Most passes over the training sentences.
    lr
        Adam's learning rate; halved whenever the loss on the sentences held back stalls.
    seed
        Seed of the projections' start and of the order of sentences.
    """

    rank: int
    epochs: int
    lr: float
    seed: int = 0


@dataclass
class Probe:
    """A trained probe.

    Parameters
    ----------
    projection
        B, float32 of shape (rank, width), for the encoder's states as they are.
    loss
        Its loss on the sentences that were held back for stopping.
    epochs
        Passes that were made.
    """

    projection: np.ndarray
    loss: float
    epochs: int


@dataclass
class _Batch:
    """Tokens of some sentences one after another, their places in a padded block, and the block's true distances."""

    rows: np.ndarray
    sentence: torch.Tensor
    place: torch.Tensor
    gold: torch.Tensor
    share: torch.Tensor


def probe_loss(points: torch.Tensor, gold: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return the mean over sentences of Σ|d_B − d| / length².

    Parameters
    ----------
    points
        Projected tokens, shape (sentences, length, rank); any value where there is no token.
    gold
        True distances, shape (sentences, length, length).
    share
        1 / length² for pairs of tokens, 0 where there is none; the shape of `gold`.

    References
    ----------
    Hewitt and Manning, "A Structural Probe for Finding Syntax in Word Representations", NAACL 2019, equation 2.
    """
    squares = (points**2).sum(-1)
    predicted = squares[:, :, None] + squares[:, None, :] - 2 * points @ points.transpose(1, 2)
    return ((predicted.clamp_min(0) - gold).abs() * share).sum() / len(gold)


def predicted_distances(states: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Return the probe's distances ‖B(h_i − h_j)‖² of one sentence.

    Parameters
    ----------
    states
        States of its tokens, shape (tokens, width).
    projection
        B, shape (rank, width).

    Returns
    -------
    numpy.ndarray
        Float64 of shape (tokens, tokens), symmetric, zeros on the diagonal.
    """
    points = np.asarray(states, dtype=np.float64) @ np.asarray(projection, dtype=np.float64).T
    squares = (points**2).sum(axis=1)
    found = np.maximum(squares[:, None] + squares[None, :] - 2 * points @ points.T, 0)
    np.fill_diagonal(found, 0)
    return (found + found.T) / 2


def train_probes(
    states: Mapping[int, np.ndarray],
    offsets: np.ndarray,
    distances: Sequence[np.ndarray],
    train: np.ndarray,
    stop: np.ndarray,
    setting: Setting,
    *,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
    log: Callable[[int, dict[int, float]], None] = lambda epoch, losses: None,
) -> dict[int, Probe]:
    """Train one probe a layer; the layers share batches, and each has its own optimiser, rate and end.

    Parameters
    ----------
    states
        Layer → states of all tokens, sentence after sentence; shape (tokens, width).
    offsets
        Where each sentence begins, and the end; shape (sentences + 1,).
    distances
        Tree distances of each sentence, shape (length, length).
    train, stop
        Indices of the sentences to learn from, and of those that decide on the rate and the end.
    setting
        Rank, epochs, rate, seed.
    device
        Where to compute.
    check
        Called between steps; may raise to stop the work.
    log
        Called after each epoch with its number (from 1) and the loss on `stop` by layer.

    Returns
    -------
    dict
        Layer → :class:`Probe`, as it was at its lowest loss on `stop`.
    """
    lengths = np.diff(offsets)
    runs = {layer: _Run(layer, array, offsets, train, setting, device) for layer, array in states.items()}
    order = np.argsort(lengths[stop], kind="stable")
    held = [_batch(stop[order[at : at + BATCH]], offsets, distances, device) for at in range(0, len(stop), BATCH)]
    for epoch in range(1, setting.epochs + 1):
        active = [run for run in runs.values() if not run.done]
        if not active:
            break
        for chosen in plan_epoch(lengths[train], BatchSettings(BATCH), setting.seed, epoch):
            batch = _batch(train[chosen], offsets, distances, device)
            for run in active:
                check()
                run.step(batch)
        for run in active:
            check()
            run.judge(held, epoch)
        log(epoch, {run.layer: run.last for run in active})
    return {layer: run.probe() for layer, run in runs.items()}


def _batch(
    chosen: np.ndarray, offsets: np.ndarray, distances: Sequence[np.ndarray], device: torch.device | str
) -> _Batch:
    lengths = offsets[chosen + 1] - offsets[chosen]
    longest = int(lengths.max())
    gold = np.zeros((len(chosen), longest, longest), dtype=np.float32)
    share = np.zeros_like(gold)
    for at, (sentence, length) in enumerate(zip(chosen.tolist(), lengths.tolist(), strict=True)):
        gold[at, :length, :length] = distances[sentence]
        share[at, :length, :length] = 1.0 / length**2
    rows = np.concatenate([np.arange(offsets[one], offsets[one + 1]) for one in chosen.tolist()])
    sentence = np.repeat(np.arange(len(chosen)), lengths)
    place = np.concatenate([np.arange(length) for length in lengths.tolist()])
    tensors = [torch.from_numpy(array).to(device) for array in (sentence, place, gold, share)]
    return _Batch(rows, *tensors)


class _Run:
    """The training of one layer's probe."""

    def __init__(
        self, layer: int, states: np.ndarray, offsets: np.ndarray, train: np.ndarray, setting: Setting,
        device: torch.device | str,
    ):  # fmt: skip
        self.layer = layer
        self.states = states
        self.device = device
        # Layers differ in size by orders of magnitude: one factor a layer makes a rate mean the same in all.
        sample = np.concatenate([np.asarray(states[offsets[one] : offsets[one + 1]]) for one in train[:200].tolist()])
        sample = sample.astype(np.float32)
        self.scale = 1.0 / max(float((sample - sample.mean(axis=0)).std()), 1e-12)
        width = states.shape[1]
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([setting.seed, layer]).generate_state(1)[0])
        )
        # A distance starts near 2 · width · rank · E[b²] = 4, the order of a tree's distances.
        bound = math.sqrt(6.0 / (width * setting.rank))
        start = (torch.rand(setting.rank, width, generator=generator) * 2 - 1) * bound
        self.weight = start.to(device).requires_grad_()
        self.optimiser = torch.optim.Adam([self.weight], lr=setting.lr)
        self.mean, self.steps = self.weight.detach().clone(), 0
        self.best, self.kept, self.stalled, self.epochs = math.inf, self.mean.clone(), 0, 0
        self.last = math.inf
        self.done = False

    def _loss(self, batch: _Batch, weight: torch.Tensor) -> torch.Tensor:
        inputs = torch.from_numpy(np.asarray(self.states[batch.rows], dtype=np.float32)).to(self.device)
        points = (inputs * self.scale) @ weight.T
        block = points.new_zeros(*batch.gold.shape[:2], points.shape[1])
        return probe_loss(block.index_put((batch.sentence, batch.place), points), batch.gold, batch.share)

    def step(self, batch: _Batch) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self._loss(batch, self.weight).backward()
        self.optimiser.step()
        self.steps += 1
        decay = min(DECAY, (1 + self.steps) / (10 + self.steps))  # the start is soon forgotten
        self.mean.mul_(decay).add_(self.weight.detach(), alpha=1 - decay)

    def judge(self, held: list[_Batch], epoch: int) -> None:
        with torch.no_grad():
            weights = [len(batch.gold) for batch in held]
            losses = [float(self._loss(batch, self.mean)) for batch in held]
        self.last, self.epochs = float(np.average(losses, weights=weights)), epoch
        if self.last < self.best * (1 - BETTER):
            self.best, self.kept, self.stalled = self.last, self.mean.clone(), 0
            return
        self.stalled += 1
        for group in self.optimiser.param_groups:
            group["lr"] /= 2
        self.done = self.stalled >= PATIENCE

    def probe(self) -> Probe:
        return Probe((self.kept * self.scale).cpu().numpy(), self.best, self.epochs)
