"""A structure search in a store, as its worker leaves it, without torch: for tests of what is read and shown."""

from __future__ import annotations

from typing import Any

from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.models.shaped import count
from core.runs.children import open_child
from core.runs.control import Control
from core.runs.folder import write_text
from core.runs.records import Status
from core.runs.store import Store
from core.search.structure.budget import SearchParent, budget_of
from core.search.structure.records import Candidate, Rung, SearchRecord, fingerprint, key_of
from core.search.structure.sampling import sample, widths_of
from core.search.structure.standing import MARGIN, entrants, goes_on, rank_within_depths, standing
from core.training.context import Request

__all__ = ["PARENT", "config_of", "searched"]

#: Of the bundled encoder's shape, with fewer words.
PARENT = SearchParent("bundled", EncoderShape.of_widths([384] * 6, head_size=32, vocabulary=1000))
_NEEDED = [320, 256, 192, 256, 256, 320]


def config_of(**changes: Any) -> StructureConfig:
    """Return the config of the search."""
    return StructureConfig.model_validate(
        {
            "name": "shapes", "candidates": 12, "depths": [4, 6], "budget": {"share": 0.5},
            "halving": {"enter": 4, "rungs": [20, 40], "keep": 0.5}, **changes,
        }
    )  # fmt: skip


def searched(
    store: Store, *, config: StructureConfig | None = None, ranked: int | None = None, rungs: int = 2,
    ended: bool = True,
) -> str:  # fmt: skip
    """Put a search into the store; return its id.

    Parameters
    ----------
    store
        The store.
    config
        The search.
    ranked
        How many candidates are ranked; all by default.
    rungs
        How many rungs are done, if all candidates are ranked.
    ended
        Whether the run has ended; otherwise it is running.
    """
    config = config or config_of()
    Control(store).submit(config, kind="structure")
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(claim.id, claim.token)
    place = store.home.run(claim.id)
    segments = {
        depth: [
            {"first": at + 1, "last": at + 1, "representative": at + 1, "least": _NEEDED[at]} for at in range(depth)
        ]
        for depth in config.depths or [6]
    }
    budget = budget_of(config, PARENT)
    record = SearchRecord(
        fingerprint(config), PARENT.as_dict(), {"parameters": budget, "tolerance": 0.03, "latency_ms": None},
        config.candidates, "random" if config.random else "prior",
        {str(depth): ones for depth, ones in segments.items()}, list(config.objectives),
        {
            "parameters": MARGIN * PARENT.body, "flops": MARGIN * count(PARENT.shape).flops(64), "latency": 12.0,
            "loss": 2.0, "score": 1.0,
        },
        notices=["The trees are silver: a parser made them."], seconds={"statistics": 61.0, "ranking": 80.5},
    )  # fmt: skip
    candidates: dict[str, Candidate] = {}
    for order, one in enumerate(sample(config, PARENT, segments).proposals):
        cost, pairs = count(one.shape), [(at, at) for at in range(one.depth)]
        candidates[key_of(one.shape, pairs)] = Candidate(
            key_of(one.shape, pairs), order, one.source, one.label, one.depth, list(widths_of(one.shape)),
            [layer.intermediate for layer in one.shape.layers], one.shape.model_dump(mode="json"), pairs, cost.body,
            cost.total, cost.flops(64),
        )  # fmt: skip
    record.order, record.wanted, record.chosen = list(candidates), len(candidates), True
    for one in [*candidates.values()][:ranked]:
        one.rank_loss = (
            0.5 + 0.02 * (sum(abs(w - 280) for w in one.widths) / len(one.widths)) ** 0.5 + 0.1 * (one.depth < 6)
        )
        one.rank_last, one.rank_layers, one.rank_seconds = one.rank_loss / 2, [one.rank_loss / 2] * one.depth, 8.0
    record.phase = "ranking"
    if ranked is None:
        _train(store, claim, config, record, candidates, rungs)
    for one in candidates.values():
        one.write(place)
    whole = ended and ranked is None and rungs == len(config.halving.rungs)
    if whole:
        record.ended, record.phase = True, "finished"
        write_text(place / "results.json", '{"metrics": {"search/hypervolume": 0.5}}')
    record.write(place)
    write_text(place / "statistics.json", '{"layers": []}')
    if ended:
        store.claims.end(claim.id, claim.token, Status.FINISHED if whole else Status.PAUSED)
    return claim.id


def _train(
    store: Store, claim: Any, config: StructureConfig, record: SearchRecord, candidates: dict[str, Candidate],
    rungs: int,
) -> None:  # fmt: skip
    for ones in rank_within_depths(candidates.values()).values():
        for place, one in enumerate(ones, 1):
            one.rank = place
    keys, record.kept = entrants(candidates.values(), config.halving.enter)
    for number in range(rungs):
        record.rungs.append(keys)
        record.phase, total = f"rung {number + 1}", sum(config.halving.rungs[: number + 1])
        for key in keys:
            one = candidates[key]
            before = one.loss or one.rank_loss or 1.0
            one.latency = {"p50": 3.0 + one.flops / 1e9, "p95": 5.0, "batch_p50": 80.0, "repeats": 31, "threads": 1}
            after = round(before * (0.8 - 0.01 * one.order / 10), 6)
            one.rungs.append(Rung(number, total, before, after, 9.5, [(total, after)]))
            part = open_child(
                store, claim, lambda: Request.NONE, f"candidate-{key}", name=f"shapes {key}",
                plan=config.model_copy(), tags=["candidate"],
            )  # fmt: skip
            part.finish("finished", metrics={"held/after": after})
            one.run = part.id
            found = standing(candidates.values(), record)
            record.front, record.hypervolume = found.front, found.hypervolume
            record.history.append(
                {
                    "step": len(candidates) + len(record.history) + 1, "phase": record.phase,
                    "hypervolume": found.hypervolume, "best_loss": found.best_loss, "front": list(found.front),
                    "objectives": found.objectives,
                }
            )  # fmt: skip
        keys, even = goes_on([candidates[key] for key in keys], config.halving.keep)
        record.kept += [even] if even is not None and even not in record.kept else []
    for key in record.front:
        place = store.home.run(str(candidates[key].run)) / "best"
        write_text(place / "config.json", "{}")
