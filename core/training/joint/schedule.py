"""Which task has which step, and which of its examples: a pure function of sizes, settings and seed.

Each task runs through batches of its own, exactly those that it would have alone; what is drawn is only whose turn it
is. Nothing here is state: a position in the steps says where every task is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from core.config import Stage
from core.training.batches import BatchSettings, iterate, plan_epoch, total_steps

__all__ = ["Parts", "Schedule", "Stream", "draw_tasks", "powers", "task_shares"]

#: Which tasks have a step, and the indices of each one's examples.
Parts = list[tuple[int, np.ndarray]]
#: Of the generator that draws tasks; it serves nothing else.
_SALT = 0x701A7
#: Steps whose chances are computed at once.
_BLOCK = 65_536


def task_shares(sizes: Sequence[int], alpha: float) -> np.ndarray:
    """Return each task's chance of a step, p_i ∝ n_i^α, shape (tasks,).

    Parameters
    ----------
    sizes
        Training examples of each task.
    alpha
        1: in proportion to size; 0: all alike.

    References
    ----------
    Stickland & Murray (2019), BERT and PALs, ICML, section 4.1.
    """
    weights = np.asarray(sizes, dtype=np.float64) ** alpha
    return np.asarray(weights / weights.sum())


def powers(alpha: float, alpha_end: float | None, steps: int) -> np.ndarray:
    """Return the α of every step, from `alpha` evenly to `alpha_end` (annealed sampling), shape (steps,)."""
    last = alpha if alpha_end is None else alpha_end
    return np.linspace(alpha, last, steps)


def draw_tasks(sizes: Sequence[int], steps: int, seed: int, *, alpha: float, alpha_end: float | None) -> np.ndarray:
    """Draw the task of every step.

    Returns
    -------
    numpy.ndarray
        Number of the task, shape (steps,).
    """
    if len(sizes) == 1:
        return np.zeros(steps, dtype=np.int64)
    drawn = np.random.default_rng([_SALT, seed]).random(steps)
    found = np.empty(steps, dtype=np.int64)
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    every = powers(alpha, alpha_end, steps)
    for at in range(0, steps, _BLOCK):
        weights = np.exp(every[at : at + _BLOCK, None] * (logs - logs.max())[None])
        edges = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
        found[at : at + _BLOCK] = (drawn[at : at + _BLOCK, None] >= edges[:, :-1]).sum(axis=1)
    return found


class Schedule:
    """The steps of a joint run.

    Parameters
    ----------
    lengths
        Of each task, the sub-words of its training examples, shape (examples,).
    stage
        Steps or epochs, and how batches are cut.
    seed
        Of the stage; each task's batches are those of a run of its own with this seed.
    alpha, alpha_end
        See :func:`powers`.
    quotas
        Examples of each task, exactly; None: tasks are drawn.
    together
        Whether each step has a batch of every task, in place of drawing one.
    """

    def __init__(
        self,
        lengths: Sequence[np.ndarray],
        stage: Stage,
        seed: int,
        *,
        alpha: float = 0.5,
        alpha_end: float | None = None,
        quotas: Sequence[int] | None = None,
        together: bool = False,
    ):
        self._lengths, self._stage, self._seed = list(lengths), stage, seed
        self._settings = BatchSettings.of(stage)
        self._tasks = len(self._lengths)
        self._together = together and self._tasks > 1
        #: With quotas: batches of each task, and examples in its last one.
        self._last: list[tuple[int, int]] | None = None
        self._size = lru_cache(maxsize=4096)(self._epoch_steps)
        sizes = [len(one) for one in self._lengths]
        if quotas is not None:
            self._last = [self._spent(task, quota) for task, quota in enumerate(quotas)]
            counts = [batches for batches, _ in self._last]
            self.steps = max(counts) if self._together else sum(counts)
            self._order = self._shuffled(counts)
        else:
            totals = [total_steps(one, stage, seed)[0] for one in self._lengths]
            whole = math.ceil(sum(totals) / self._tasks) if self._together else sum(totals)
            self.steps = stage.steps if stage.steps is not None else whole
            self._order = (
                np.zeros(0, dtype=np.int64) if self._together
                else draw_tasks(sizes, self.steps, seed, alpha=alpha, alpha_end=alpha_end)
            )  # fmt: skip

    def tasks_at(self, own: int) -> tuple[int, ...]:
        """Return the tasks of a step, from 1."""
        if not self._together:
            return (int(self._order[min(own, self.steps) - 1]),)
        if self._last is None:
            return tuple(range(self._tasks))
        return tuple(task for task, (batches, _) in enumerate(self._last) if own <= batches)

    def done(self, own: int) -> list[int]:
        """Return how many batches each task has had after so many steps."""
        if not self._together:
            return np.bincount(self._order[:own], minlength=self._tasks).tolist()
        if self._last is None:
            return [own] * self._tasks
        return [min(own, batches) for batches, _ in self._last]

    def round_steps(self, number: int) -> int:
        """Return the steps of a round, from 0: as many as that epoch of all tasks has."""
        steps = sum(self._size(task, number) for task in range(self._tasks))
        return math.ceil(steps / self._tasks) if self._together else steps

    def stream(self, own: int = 0) -> Stream:
        """Return the batches from behind so many steps on."""
        return Stream(self, own)

    def batches(self, task: int, done: int) -> Iterator[np.ndarray]:
        """Yield a task's batches without end, behind those that it has had."""
        epoch = 0
        while done >= self._size(task, epoch):
            done -= self._size(task, epoch)
            epoch += 1
        for *_, batch in iterate(self._lengths[task], self._stage, self._seed, epoch=epoch, index=done):
            yield batch

    def cut(self, task: int, number: int, batch: np.ndarray) -> np.ndarray:
        """Return what of a task's batch, from 1, is trained on: the last one of a quota is cut to it."""
        if self._last is None or number < self._last[task][0]:
            return batch
        return batch[: self._last[task][1]]

    def _epoch_steps(self, task: int, epoch: int) -> int:
        if self._settings.tokens is None:
            return -(-len(self._lengths[task]) // self._settings.size)
        return len(plan_epoch(self._lengths[task], self._settings, self._seed, epoch))

    def _spent(self, task: int, quota: int) -> tuple[int, int]:
        """Return how many batches hold `quota` examples of a task, and how many of them the last one holds."""
        for count, batch in enumerate(self.batches(task, 0), 1):
            if len(batch) >= quota:
                return count, quota
            quota -= len(batch)
        raise AssertionError("batches have no end")

    def _shuffled(self, counts: Sequence[int]) -> np.ndarray:
        order = np.repeat(np.arange(len(counts)), counts)
        return order if len(counts) == 1 else np.random.default_rng([_SALT, self._seed]).permutation(order)


class Stream:
    """The batches of steps in their order, with a look at what a task has next.

    Parameters
    ----------
    schedule
        The steps.
    own
        How many of them are over.
    """

    def __init__(self, schedule: Schedule, own: int):
        self._schedule = schedule
        self._own = own
        self._done = schedule.done(own)
        self._batches = [schedule.batches(task, done) for task, done in enumerate(self._done)]
        self._next: dict[int, np.ndarray] = {}

    def peek(self, task: int) -> np.ndarray:
        """Return the next batch of a task, which stays the next one."""
        if task not in self._next:
            self._next[task] = next(self._batches[task])
        return self._next[task]

    def take(self) -> Parts:
        """Return the examples of the next step."""
        self._own += 1
        found: Parts = []
        for task in self._schedule.tasks_at(self._own):
            batch = self.peek(task)
            del self._next[task]
            self._done[task] += 1
            found.append((task, self._schedule.cut(task, self._done[task], batch)))
        return found
