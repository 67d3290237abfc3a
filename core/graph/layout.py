"""Positions of words, computed on the server: the same each time, components side by side, labels apart.

Units are pixels at zoom 1, the origin is the middle, y grows downwards.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from core.graph.pairs import seeded

__all__ = ["BOX", "label_box", "overlaps", "place", "separate"]

#: Width and height of the box that positions are scaled to.
BOX = (1600.0, 1000.0)
_GAP = 0.7
#: Half the plane of a layout with pinned nodes, in square roots of nodes.
_PLANE = 1.6
_LEAST_PULL = 0.3
#: Above so many nodes a layout ends sooner (edges come out no longer), and above so many it works on a grid.
_SOON, _GRID = 300, 1000
#: Rounds of a layout with pinned nodes; with 80 instead of 200, lengths of edges and distances to neighbours of 500 and
#: 2,000 words are the same to 5 %.
_PINNED_ROUNDS = (500, 80)
_ROUNDS = 16
_STEPS = 40
#: How much nearer than it takes, in boxes, pairs are watched.
_SLACK = 0.25
#: The picture is at least this many times as large as all label boxes together.
_ROOM = 3.0
#: Pixels of a letter in a label of 14 px; a wide sign (Chinese, emoji) takes a whole square.
_LETTER, _WIDE, _LINE, _MARGIN = 7.6, 14.5, 18.0, 6.0


def place(
    nodes: int,
    sources: np.ndarray,
    targets: np.ndarray,
    strengths: np.ndarray,
    *,
    seed: int = 0,
    pinned: Mapping[int, tuple[float, float]] | None = None,
    box: tuple[float, float] = BOX,
) -> np.ndarray:
    """Lay nodes out by Fruchterman & Reingold (1991), each component for itself, packed into a box.

    Parameters
    ----------
    nodes
        Number of nodes.
    sources, targets, strengths
        Edges: int of shape (edges,), and how strongly each pulls, above 0.
    seed
        Seed of the positions to begin with.
    pinned
        Nodes that stay where they are told, in units of half the box (−1 to 1); all components then share one plane.
    box
        Width and height in pixels.

    Returns
    -------
    numpy.ndarray
        x and y of each node, float64 of shape (nodes, 2).
    """
    if not nodes:
        return np.zeros((0, 2))
    pull = np.sqrt(np.asarray(strengths, dtype=np.float64) / max(float(np.max(strengths, initial=0)), 1e-30))
    pull = np.maximum(pull, _LEAST_PULL)  # a weak edge holds its word too
    edges = np.column_stack([np.asarray(sources, dtype=np.int64), np.asarray(targets, dtype=np.int64)])
    if pinned:
        half = max(2.0, _PLANE * float(np.sqrt(nodes)))
        found = _pinned(nodes, edges, pull, seed, pinned, half)
        if nodes > _GRID:  # there words push away only those near to them, and the whole stays small
            found *= half / np.maximum(np.abs(found).max(axis=0), 1e-9)
        return found / half * np.array(box) / 2
    matrix = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(nodes, nodes))
    count, component = connected_components(matrix, directed=False)
    order = np.argsort(component, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(component, minlength=count))[:-1])
    local = np.empty(nodes, dtype=np.int64)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    by_edge = component[edges[:, 0]] if len(edges) else np.empty(0, dtype=np.int64)
    for number, members in enumerate(groups):
        if len(members) == 1:
            parts.append((members, np.zeros((1, 2))))
            continue
        local[members] = np.arange(len(members))
        inside = by_edge == number
        parts.append((members, _force(len(members), local[edges[inside]], pull[inside], seed)))
    return _into_box(_pack(nodes, parts, box[0] / box[1]), box)


def _force(nodes: int, edges: np.ndarray, pull: np.ndarray, seed: int) -> np.ndarray:
    """Lay one component out; its area grows with its nodes."""
    import igraph

    generator = np.random.default_rng([seed, nodes])
    start = generator.uniform(-1, 1, (nodes, 2)) * np.sqrt(nodes)
    rounds = 500 if nodes <= 2500 else 250
    with seeded(seed):
        found = igraph.Graph(n=nodes, edges=edges).layout_fruchterman_reingold(
            weights=pull.tolist(), niter=rounds, seed=start.tolist()
        )
    positions = np.asarray(found.coords, dtype=np.float64)
    positions -= positions.mean(axis=0)
    # the longer side lies, as screens do
    _, _, axes = np.linalg.svd(positions, full_matrices=False)
    axes *= np.where(axes[:, :1] < 0, -1, 1)
    positions = positions @ axes.T
    spread = np.maximum(np.ptp(positions, axis=0), 1e-9)
    flat = spread.min() <= 1e-6
    # a chain is nearly a line: by its area it would become longer than everything else
    spread = np.maximum(spread, spread.max() / 8)
    return positions * np.sqrt(nodes / float(spread.prod())) if nodes > 2 and not flat else (
        positions / spread.max()
    )  # fmt: skip


def _pinned(
    nodes: int, edges: np.ndarray, pull: np.ndarray, seed: int, pinned: Mapping[int, tuple[float, float]], half: float
) -> np.ndarray:
    import igraph

    start = np.random.default_rng([seed, nodes]).uniform(-0.9, 0.9, (nodes, 2)) * half
    low, high = np.full((nodes, 2), -half), np.full((nodes, 2), half)
    for node, (x, y) in pinned.items():
        start[node] = low[node] = high[node] = (x * half, y * half)
    with seeded(seed):
        found = igraph.Graph(n=nodes, edges=edges).layout_fruchterman_reingold(
            weights=pull.tolist(), niter=_PINNED_ROUNDS[nodes > _SOON], seed=start.tolist(), grid=nodes > _GRID,
            minx=low[:, 0].tolist(), maxx=high[:, 0].tolist(), miny=low[:, 1].tolist(), maxy=high[:, 1].tolist(),
        )  # fmt: skip
    return np.asarray(found.coords, dtype=np.float64)


def _pack(nodes: int, parts: list[tuple[np.ndarray, np.ndarray]], aspect: float) -> np.ndarray:
    """Put components side by side in rows, the largest first."""
    positions = np.zeros((nodes, 2))
    sizes = [np.ptp(found, axis=0) + _GAP for _, found in parts]
    order = sorted(range(len(parts)), key=lambda n: (-len(parts[n][0]), int(parts[n][0][0])))
    area = sum(float(size.prod()) for size in sizes)
    width = max(float(np.sqrt(area * aspect)), max(float(size[0]) for size in sizes))
    x = y = height = 0.0
    for number in order:
        members, found = parts[number]
        if x > 0 and x + sizes[number][0] > width * 1.001:
            x, y, height = 0.0, y + height, 0.0
        positions[members] = found - found.min(axis=0) + _GAP / 2 + [x, y]
        x += float(sizes[number][0])
        height = max(height, float(sizes[number][1]))
    return positions


def _into_box(positions: np.ndarray, box: tuple[float, float]) -> np.ndarray:
    """Scale by one factor, so that everything lies in the box, its middle in the origin."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    spread = np.maximum(high - low, 1e-9)
    factor = min(box[0] / spread[0], box[1] / spread[1])
    return (positions - (low + high) / 2) * min(factor, 120.0)  # few words need not fill the whole box


def label_box(label: str, radius: float) -> tuple[float, float]:
    """Return width and height in pixels of a round node with its label beneath."""
    letters = sum(
        0.0 if unicodedata.combining(char) else _WIDE if unicodedata.east_asian_width(char) in "WF" else _LETTER
        for char in label
    )
    return max(2 * radius, letters) + _MARGIN, 2 * radius + _LINE + _MARGIN


def overlaps(positions: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the pairs of nodes whose boxes overlap, int of shape (pairs, 2).

    Parameters
    ----------
    positions
        Middles of the boxes, shape (nodes, 2).
    boxes
        Widths and heights, shape (nodes, 2).
    """
    if len(positions) < 2:
        return np.empty((0, 2), dtype=np.int64)
    return _overlapping(positions, boxes, _near(positions, boxes, 1.0))


def _near(positions: np.ndarray, boxes: np.ndarray, reach: float) -> np.ndarray:
    """Return the pairs of nodes that are nearer than so many of the largest box, in both directions."""
    return cKDTree(positions / boxes.max(axis=0)).query_pairs(reach, p=np.inf, output_type="ndarray")


def _overlapping(positions: np.ndarray, boxes: np.ndarray, near: np.ndarray) -> np.ndarray:
    if not len(near):
        return np.empty((0, 2), dtype=np.int64)
    apart = np.abs(positions[near[:, 0]] - positions[near[:, 1]])
    return near[(apart < (boxes[near[:, 0]] + boxes[near[:, 1]]) / 2 - 1e-6).all(axis=1)]


def separate(positions: np.ndarray, boxes: np.ndarray, *, pinned: Sequence[int] = ()) -> np.ndarray:
    """Move nodes apart until their label boxes no longer overlap, as little as possible.

    Overlapping pairs push each other along the axis on which they overlap less (force transfer after Huang et al.
    2007); where that does not end, the whole picture grows a little and it goes on.

    Parameters
    ----------
    positions, boxes
        See :func:`overlaps`.
    pinned
        Nodes that others give way to; they move only when the whole grows.
    """
    found = np.array(positions, dtype=np.float64)
    if len(found) < 2:
        return found
    room = float(np.maximum(np.ptp(found, axis=0), boxes.mean(axis=0)).prod())
    found *= max(1.0, float(np.sqrt(_ROOM * boxes.prod(axis=1).sum() / room)) if len(overlaps(found, boxes)) else 1.0)
    fixed = np.zeros(len(found), dtype=bool)
    fixed[list(pinned)] = True
    # Who is near is found out anew only after somebody has moved far enough for others to come near.
    largest = boxes.max(axis=0)
    near, then = _near(found, boxes, 1 + _SLACK), found.copy()
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            if float((np.abs(found - then) / largest).max()) > _SLACK / 2:
                near, then = _near(found, boxes, 1 + _SLACK), found.copy()
            pairs = _overlapping(found, boxes, near)
            if not len(pairs):
                return found
            _push(found, boxes, pairs, fixed)
        found *= 1.1
    return found


def _push(found: np.ndarray, boxes: np.ndarray, pairs: np.ndarray, fixed: np.ndarray) -> None:
    first, second = pairs[:, 0], pairs[:, 1]
    apart = found[second] - found[first]
    need = (boxes[first] + boxes[second]) / 2 - np.abs(apart) + 0.5
    axis = (need[:, 1] < need[:, 0]).astype(np.int64)
    rows = np.arange(len(pairs))
    sign = np.where(apart[rows, axis] < 0, -1.0, 1.0)
    shift = sign * need[rows, axis]
    both = fixed[first] & fixed[second]
    give = np.where(both, 0.5, np.where(fixed[first], 0.0, np.where(fixed[second], 1.0, 0.5)))
    # Places in the flattened arrays; counting them is several times as fast as numpy.add.at.
    places = np.concatenate([2 * first + axis, 2 * second + axis])
    amounts = np.concatenate([-shift * give, shift * (1 - give)])
    moves = np.bincount(places, weights=amounts, minlength=found.size)
    crowd = np.bincount(places, minlength=found.size)
    found += (moves / np.maximum(np.sqrt(crowd), 1.0)).reshape(found.shape)
