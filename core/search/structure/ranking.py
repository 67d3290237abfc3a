"""Every candidate inherits weights and is ranked, within its depth, by how near it comes to the parent untrained.

In six-layer shapes this ordered candidates as 300 steps of training did; across depths it did not, so losses of
different depths are never compared here. No weights stay in memory; those that may enter the first rung are kept on the
disk, so that they need not be made again.
"""

from __future__ import annotations

import time

from core.models.shaped import count
from core.models.shaped.distance import distance
from core.search.inheriting import Calibration
from core.search.latency import LENGTH
from core.search.structure.budget import space_of
from core.search.structure.records import Candidate, key_of
from core.search.structure.sampling import Proposal, widths_of
from core.search.structure.standing import quotas, rank_within_depths
from core.search.structure.students import INHERITED, Students
from core.search.structure.tpe import Proposer
from core.search.structure.work import Work

__all__ = ["candidate_of", "rank_all"]


def candidate_of(work: Work, proposal: Proposal, order: int) -> Candidate:
    """Return a proposal as a candidate that is not ranked yet."""
    shape, cost = proposal.shape, count(proposal.shape)
    segments = [
        (int(one["representative"]) - 1, int(one["last"]) - 1) for one in work.record.depths[str(proposal.depth)]
    ]
    return Candidate(
        key_of(shape, segments), order, proposal.source, proposal.label, proposal.depth, list(widths_of(shape)),
        [layer.intermediate for layer in shape.layers], shape.model_dump(mode="json"), segments,
        cost.body, cost.total, cost.flops(LENGTH),
    )  # fmt: skip


def rank_all(work: Work, students: Students, calibration: Calibration) -> None:
    """Rank what is not ranked yet; with sampler ``tpe`` also propose it."""
    for candidate in list(work.candidates.values()):
        if candidate.rank_loss is None:
            _rank(work, candidate, students, calibration)
    if work.config.sampler == "tpe":
        _propose(work, students, calibration)
    for ones in rank_within_depths(work.candidates.values()).values():
        for place, one in enumerate(ones, 1):
            if one.rank != place:
                one.rank = place
                one.write(work.folder)
    students.tidy(_may_enter(work))


def _rank(work: Work, candidate: Candidate, students: Students, calibration: Calibration) -> None:
    work.check()
    wanted = max(work.record.wanted, len(work.record.order))
    work.tell(f"ranking: candidate {len(work.ranked) + 1} of {wanted}")
    began = time.perf_counter()
    student = students.inherited(candidate)
    found = distance(student, calibration.held_out)
    candidate.rank_loss, candidate.rank_last = found.loss, found.last
    candidate.rank_layers, candidate.rank_seconds = list(found.layers), round(time.perf_counter() - began, 3)
    best = rank_within_depths(work.candidates.values())[candidate.depth][0]
    if candidate.key in _may_enter(work):
        students.keep(candidate, student, INHERITED)
    del student  # nothing else holds it
    candidate.write(work.folder)  # after its weights: one that is recorded is never without them
    students.tidy(_may_enter(work))
    assert best.rank_loss is not None
    work.context.metrics(
        len(work.ranked),
        {f"search/rank/{candidate.depth}": found.loss, f"search/rank_best/{candidate.depth}": best.rank_loss},
    )


def _may_enter(work: Work) -> set[str]:
    """Return the keys of those that would enter the first rung if all were ranked."""
    places = quotas([int(depth) for depth in work.record.depths], work.config.halving.enter)
    kept = set()
    for depth, ones in rank_within_depths(work.candidates.values()).items():
        kept |= {one.key for one in ones[: max(1, places[depth])]}
        kept |= {one.key for one in [one for one in ones if one.source == "uniform"][:1]}
    return kept


def _propose(work: Work, students: Students, calibration: Calibration) -> None:
    """Take turns over depths: propose, rank, tell the loss."""
    config, record, slow = work.config, work.record, work.admit
    depths = [int(depth) for depth in record.depths]
    proposers = {depth: Proposer(space_of(config, work.parent, depth), config.runtime.seed) for depth in depths}
    for one in work.ranked:
        assert one.rank_loss is not None
        proposers[one.depth].tell(one.encoder_shape, one.rank_loss)
    empty = set[int]()
    while len(record.order) < config.candidates and len(empty) < len(depths):
        counts = {depth: sum(one.depth == depth for one in work.candidates.values()) for depth in depths}
        depth = min((one for one in depths if one not in empty), key=lambda one: (counts[one], one))
        known = {tuple(one.widths) for one in work.candidates.values() if one.depth == depth}
        shape = proposers[depth].ask(known, slow)
        if shape is None:
            empty.add(depth)
            work.note(f"No further shape of {depth} layers was found within the budget.")
            continue
        candidate = candidate_of(work, Proposal(shape, "tpe"), len(record.order))
        work.candidates[candidate.key] = candidate
        record.order.append(candidate.key)
        _rank(work, candidate, students, calibration)
        work.write()
        assert candidate.rank_loss is not None
        proposers[depth].tell(shape, candidate.rank_loss)
