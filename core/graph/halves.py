"""One shortest path by searches from both ends at once, a whole wave of nodes at a time.

Numbers in Python's own loops cost about a microsecond a node. Here a search keeps a label a node in an array, and in
each round passes on the labels of all nodes below a bound that lets the wave grow by about itself: a few dozen calls of
numpy, whatever the number of nodes. A label may be passed on before it is final; it is then passed on again (label
correcting, as in Meyer & Sanders 2003, Δ-stepping). All nodes nearer than the nearest one that waits are done: that is
the radius of a search, and once both radii together reach the best path found, no better one is left (Pohl 1971).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

__all__ = ["Halves"]

#: A wave may have this many nodes at the start, and so many times those that were done before.
FIRST, GROWTH = 256, 2


class _Half:
    """Edges of one direction in CSR order, with costs that potentials were taken off.

    Parameters
    ----------
    indptr, targets, costs
        As in :class:`core.graph.shortest.SearchGraph`; targets of the backward half are the sources of edges.
    """

    def __init__(self, indptr: np.ndarray, targets: np.ndarray, costs: np.ndarray):
        self.first = indptr[:-1].astype(np.intp)
        self.degree = np.diff(indptr).astype(np.intp)
        self.targets = targets.astype(np.intp)
        self.costs = costs

    def places(self, edges: Collection[tuple[int, int]]) -> np.ndarray:
        """Return where edges stand, given as (node, target); those that are not there are left out."""
        found = []
        for node, target in edges:
            low = int(self.first[node])
            row = self.targets[low : low + int(self.degree[node])]
            at = int(np.searchsorted(row, target))
            if at < len(row) and int(row[at]) == target:
                found.append(low + at)
        return np.array(found, dtype=np.intp)


class _Search:
    """The search from one end.

    Parameters
    ----------
    half
        Its edges.
    labels, came
        Scratch arrays of shape (nodes,): labels, infinite where nothing was reached yet, and the node before.
    node
        Where it starts.
    shut
        Places of edges that must not be used.
    """

    def __init__(self, half: _Half, labels: np.ndarray, came: np.ndarray, node: int, shut: np.ndarray):
        self.half, self.labels, self.came, self.node, self.shut = half, labels, came, node, shut
        self.done = 1
        labels[node] = 0.0
        # The first wave is the end itself: its row is there without any gathering.
        low = int(half.first[node])
        row = slice(low, low + int(half.degree[node]))
        nodes, keys = half.targets[row], half.costs[row]
        if len(shut):
            keys = np.where(np.isin(np.arange(row.start, row.stop), shut), np.inf, keys)
        better = keys < labels.take(nodes)
        self.nodes, self.keys = nodes.compress(better), keys.compress(better)
        labels[self.nodes] = self.keys
        came[self.nodes] = node
        self.touched = [self.nodes]
        self.radius = float(self.keys.min()) if len(self.nodes) else math.inf

    def grow(self, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """Pass on the labels of the next wave, none above `limit`; return the nodes that got better ones, and those."""
        half, labels = self.half, self.labels
        nodes, keys = self.nodes, self.keys
        most = FIRST + GROWTH * self.done
        rest = None
        if len(nodes) > most:
            now = keys <= min(limit, float(np.partition(keys, most)[most]))
            rest = ~now
            waiting, wait = nodes.compress(rest), keys.compress(rest)
            nodes, keys = nodes.compress(now), keys.compress(now)
        self.done += len(nodes)
        degree = half.degree.take(nodes)
        ends = degree.cumsum()
        starts = half.first.take(nodes)
        starts -= ends
        starts += degree
        edges = starts.repeat(degree)
        edges += np.arange(len(edges))
        reached, new = half.targets.take(edges), half.costs.take(edges)
        new += keys.repeat(degree)
        if len(self.shut):
            new[np.isin(edges, self.shut)] = math.inf
        before = labels.take(reached)
        np.minimum.at(labels, reached, new)
        best = new == labels.take(reached)
        best &= new < before
        reached, new = reached.compress(best), new.compress(best)
        self.came[reached] = nodes.repeat(degree).compress(best)
        self.touched.append(reached)
        self.nodes, self.keys = reached, new
        if rest is not None:
            kept = wait == labels.take(waiting)
            self.nodes = np.concatenate([waiting.compress(kept), reached])
            self.keys = np.concatenate([wait.compress(kept), new])
        return reached, new

    def settle(self, limit: float) -> None:
        """Forget nodes that nothing better can lead through, and find out the radius."""
        if limit < math.inf:
            kept = self.keys < limit
            self.nodes, self.keys = self.nodes.compress(kept), self.keys.compress(kept)
        self.radius = float(self.keys.min()) if len(self.nodes) else math.inf

    def way(self, node: int) -> list[int]:
        """Return the nodes from one back to the end."""
        found = [node]
        while found[-1] != self.node:
            found.append(int(self.came[found[-1]]))
        return found

    def clear(self) -> None:
        """Leave the scratch arrays as they were."""
        self.labels[self.node] = math.inf
        for nodes in self.touched:
            self.labels[nodes] = math.inf


class Halves:
    """Edges in both directions, prepared for searches from both ends.

    Parameters
    ----------
    ahead, behind
        (indptr, targets, costs) of the edges forwards and backwards, costs without potentials.
    slack
        Both potentials of each node together: what its two labels hold too much, shape (nodes,).
    """

    def __init__(
        self,
        ahead: tuple[np.ndarray, np.ndarray, np.ndarray],
        behind: tuple[np.ndarray, np.ndarray, np.ndarray],
        slack: np.ndarray,
    ):
        self.ahead, self.behind, self.slack = _Half(*ahead), _Half(*behind), slack
        # Arrays that searches write in, clean ones; searches of several threads take different ones.
        self._scratch: list[tuple[np.ndarray, ...]] = []

    def path(
        self, source: int, target: int, blocked: Collection[int], edges: Sequence[tuple[int, int]]
    ) -> list[int] | None:
        """Return the nodes of the shortest path, with loops where edges of cost 0 make some; None: there is none.

        Parameters
        ----------
        source, target
            Two different nodes.
        blocked
            Other nodes that must not be entered.
        edges
            (source, target) of edges that must not be used.
        """
        size = len(self.slack)
        try:
            arrays = self._scratch.pop()
        except IndexError:
            arrays = tuple(np.full(size, fill) for fill in (np.inf, 0, np.inf, 0))
        closed = np.array([node for node in blocked if 0 <= node < size], dtype=np.intp)
        if len(closed):  # no label is smaller
            arrays[0][closed] = arrays[2][closed] = -math.inf
        front = _Search(self.ahead, arrays[0], arrays[1], source, self.ahead.places(edges))
        rear = _Search(
            self.behind, arrays[2], arrays[3], target, self.behind.places([(end, start) for start, end in edges])
        )
        meeting = self._meet(front, rear)
        found = None if meeting < 0 else front.way(meeting)[:0:-1] + rear.way(meeting)
        front.clear()
        rear.clear()
        if len(closed):
            arrays[0][closed] = arrays[2][closed] = math.inf
        self._scratch.append(arrays)
        return found

    def _meet(self, front: _Search, rear: _Search) -> int:
        """Grow both searches until they have met for good; return the node where they did, or −1."""
        best, meeting = math.inf, -1
        reached, labels = np.append(rear.nodes, rear.node), np.append(rear.keys, 0.0)
        one, other = rear, front
        while True:
            if len(reached):
                whole = other.labels.take(reached)
                whole += labels
                whole -= self.slack.take(reached)
                at = int(whole.argmin())
                if whole[at] < best:
                    best, meeting = float(whole[at]), int(reached[at])
            one.settle(best - other.radius)
            if one.radius + other.radius >= best:
                return meeting
            # The search that has done less grows: hubs on one side then cost nothing on the other.
            one, other = (front, rear) if front.done <= rear.done else (rear, front)
            reached, labels = one.grow(best - other.radius)
