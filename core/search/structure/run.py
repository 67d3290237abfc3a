"""The run of kind ``structure``: statistics, sampling, ranking, successive halving, fine-tuning, front; in this order.

Only workers import this module: it loads torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config.shape import EncoderShape
from core.config.structure import TOLERANCE, StructureConfig
from core.errors import ConfigError
from core.graph.requests import Stopped, listen, telling
from core.search.inheriting import Calibration, Parts, calibrated, divide, load_parent
from core.search.latency import keep, latency_of, measure_in_turns
from core.search.phases import words_of
from core.search.proposal import segments_of
from core.search.statistics_cache import cached_statistics
from core.search.structure.budget import SearchParent, budget_of, check, parent_of, possible_depths
from core.search.structure.finetune import finetune_all
from core.search.structure.halving import halve
from core.search.structure.leaving import keep_front
from core.search.structure.ranking import candidate_of, rank_all
from core.search.structure.records import SearchRecord, fingerprint
from core.search.structure.sampling import Sample, sample
from core.search.structure.standing import MARGIN, MEAN_LOSS
from core.search.structure.students import Students
from core.search.structure.view import conclusion
from core.search.structure.work import Work
from core.training.context import Outcome, RunContext
from core.training.device import exclusive, pick_device, reading_errors
from core.training.files import write_json
from core.training.results import environment

__all__ = ["STATISTICS", "run"]

#: The statistics, in the run's folder: what a search was based on stays with it.
STATISTICS = "statistics.json"
_TEXTS = "texts.json"


def run(config: StructureConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a search; one that was stopped, however, goes on with the candidate that it was at.

    It leaves ``search.json``, ``candidates/<key>.json`` and ``results.json`` in the run's folder, child runs for those
    that were trained, and the encoders of the front in ``best/`` of these.

    Raises
    ------
    ConfigError
        If the budget cannot be met, or depths and widths do not fit the parent.
    ModelError
        If the parent is no plain BERT.
    DataError
        If the corpus is too small.
    BertloomError
        If corpus or rows cannot be used, or the disk is full.
    """
    folder = Path(context.folder)
    key = fingerprint(config)
    found = SearchRecord.read(folder)
    if resume and found is not None and found.key == key and found.ended and (folder / "results.json").exists():
        return Outcome.FINISHED
    stop = listen(context)
    try:
        with reading_errors():
            _search(config, context, found if resume and found is not None and found.key == key else None, stop)
    except Stopped as stopped:
        return stopped.outcome
    finally:
        context.flush()
    return Outcome.FINISHED


def _search(
    config: StructureConfig, context: RunContext, record: SearchRecord | None, stop: Callable[[], None]
) -> None:  # fmt: skip
    parent = parent_of(config.model)
    check(config, parent)  # before minutes are spent on statistics
    if record is None or not record.chosen:
        work = _begin(config, context, parent, stop, {} if record is None else record.seconds)
    else:
        work = Work(config, context, parent, record, stop)
        context.event("info", f"The search goes on: {len(work.ranked)} of {record.wanted} candidates are ranked.")
    threads = work.record.threads
    work.admit = _admit(work)
    with exclusive(deterministic=True, threads=threads):
        with work.phase("texts"):
            calibration = _texts(work, stop)
        students = Students(work.folder, calibration, config.runtime.seed)
        with work.phase("ranking"):
            rank_all(work, students, calibration)
        calibration.fit.forget()  # training needs the memory for the parent's states
        halve(work, students, calibration, threads)
    if config.finetune is not None:  # outside: a training owns torch's state itself
        with work.phase("fine-tuning"):
            finetune_all(work, students, calibration)
    if "latency" in work.record.objectives:
        with work.phase("latency"):
            measure_again(work)
    with work.phase("front"):
        work.refresh()
        keep_front(work, students, calibration)
    _finish(work)


def _begin(
    config: StructureConfig, context: RunContext, parent: SearchParent, stop: Callable[[], None],
    seconds: dict[str, float],
) -> Work:  # fmt: skip
    """Measure the parent, choose the candidates and write them down."""
    budget = budget_of(config, parent)
    sampler = "tpe" if config.sampler == "tpe" else "random" if config.random else "prior"
    limit = {"parameters": budget, "tolerance": TOLERANCE, "latency_ms": config.budget.latency_ms}
    record = SearchRecord(
        fingerprint(config), parent.as_dict(), limit, config.candidates, sampler, {}, list(config.objectives),
        _reference(parent, budget),
        threads=torch.get_num_threads() if config.runtime.threads == "auto" else config.runtime.threads,
        seconds=seconds,
    )  # fmt: skip
    work = Work(config, context, parent, record, stop)
    work.forget()
    with work.phase("statistics"):
        found = _statistics(work)
        record.statistics = found["key"]
    with work.phase("sampling"):
        _depths(work, found)
        if "latency" in config.objectives:
            record.reference["latency"] = MARGIN * latency_of(parent.shape, work.cache, record.threads, check=stop).p50
        work.admit = _admit(work)
        segments = {int(depth): ones for depth, ones in record.depths.items()}
        drawn = _sample(work, segments)
        for order, proposal in enumerate(drawn.proposals):
            candidate = candidate_of(work, proposal, order)
            candidate.write(work.folder)
            work.candidates[candidate.key] = candidate
        record.order = list(work.candidates)
        if config.sampler != "tpe":
            record.wanted = len(record.order)
        for notice in drawn.notices:
            work.note(notice)
        write_json(work.folder / STATISTICS, found)
        record.chosen = True
    return work


def measure_again(work: Work) -> None:
    """Measure those that were trained and their parent once more, in turns: they are compared with each other.

    Each was measured when it came up, perhaps beside other work; what is found now takes that one's place everywhere.
    """
    work.tell("measuring how fast shapes are, in turns")
    record, trained = work.record, [one for one in work.candidates.values() if one.rungs]
    shapes = {"": work.parent.shape, **{one.key: one.encoder_shape for one in trained}}
    found = measure_in_turns(shapes, record.threads, check=work.check)
    for name, latency in found.items():
        keep(latency, shapes[name], work.cache)
    record.reference["latency"] = MARGIN * found[""].p50
    for one in trained:
        one.latency = found[one.key].as_dict()
        one.write(work.folder)
    if any(latency.unsteady for latency in found.values()):
        work.note(
            "Latencies were measured while the machine was busy with other work: they are longer than they would be, "
            "and their order may be another. They are kept; freeing the cache has them measured again."
        )


def _statistics(work: Work) -> dict[str, Any]:
    config = work.config.statistics_config()

    def phase(part: str) -> Callable[[int, int], None]:
        told = telling(work.context, f"statistics: {words_of(part)}")
        told(0, 1)
        return told

    with exclusive(deterministic=False, threads=work.record.threads):
        found = cached_statistics(config, work.cache, check=work.check, phase=phase)
    for notice in found["notices"]:
        work.note(notice)
    return found


def _texts(work: Work, stop: Callable[[], None]) -> Calibration:
    """Return the parent on texts; which texts is read from the corpus once, and kept."""
    config, place = work.config, work.folder / _TEXTS
    encoder, tokenizer = load_parent(config.model.source, config.model.revision)
    try:
        parts = Parts(**json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        told = telling(work.context, "reading the texts")
        parts = divide(tokenizer, config.texts(), seed=config.runtime.seed, check=stop, progress=told)
        write_json(place, asdict(parts))
        for notice in (*parts.notices, *parts.train_notices):
            work.note(notice)
    work.context.progress(phase="the parent's hidden states")
    return calibrated(encoder, tokenizer, parts, stop)


def _depths(work: Work, found: dict[str, Any]) -> None:
    """Decide which depths are tried, and which of the parent's layers each layer stands for."""
    config, depth = work.config, found["depth"]
    wanted = config.depths or list(range(depth["lowest"], depth["highest"] + 1))
    wanted = sorted({*wanted, *(len(widths) for widths in config.given)})
    possible = possible_depths(config, work.parent, wanted)
    left_out = [one for one in wanted if one not in possible]
    if left_out:
        work.note(
            f"The budget of {work.record.budget['parameters']:,} parameters cannot be met with "
            f"{', '.join(map(str, left_out))} layers: {'these depths are' if len(left_out) > 1 else 'this depth is'} "
            "left out."
        )
    likeness = np.asarray(found["cka"], dtype=float)
    work.record.depths = {
        str(one): depth["segments"].get(str(one)) or segments_of(likeness, found["layers"], one) for one in possible
    }


def _admit(work: Work) -> Callable[[EncoderShape], bool]:
    """Return what says whether a shape is fast enough; without a limit all are, and none is measured."""
    limit = work.config.budget.latency_ms

    def allowed(shape: EncoderShape) -> bool:
        if limit is None:
            return True
        work.tell("measuring how fast shapes are")
        took = latency_of(shape, work.cache, work.record.threads, check=work.check).p50
        work.fastest = min(took, work.fastest)
        return took <= limit

    return allowed


def _sample(work: Work, segments: dict[int, list[dict[str, Any]]]) -> Sample:
    limit = work.config.budget.latency_ms
    try:
        drawn = sample(work.config, work.parent, segments, admit=None if limit is None else work.admit)
    except ConfigError as error:
        if limit is None or work.fastest > 1e9:
            raise
        raise ConfigError(
            f"No shape within the budget of parameters takes at most {limit:g} ms on this machine.",
            where="budget.latency_ms", expected=f"{work.fastest:.2f} ms, which the fastest of those measured takes",
            advice="Raise the limit, lower the budget of parameters, or try fewer layers.",
        ) from error  # fmt: skip
    return drawn


def _reference(parent: SearchParent, budget: int) -> dict[str, float]:
    told = parent.as_dict()
    return {
        "parameters": MARGIN * max(told["body"], budget), "flops": MARGIN * told["flops"], "loss": MEAN_LOSS,
        "score": 1.0,
    }  # fmt: skip


def _finish(work: Work) -> None:
    """Say what came of it and write ``results.json``."""
    record = work.record
    said = conclusion(record, work.candidates)
    work.context.event("decision", said["words"], data={key: value for key, value in said.items() if key != "words"})
    record.ended, record.phase = True, "finished"
    metrics: dict[str, float] = {"search/candidates": float(len(work.ranked)), "search/front": float(len(record.front))}
    for name, value in (
        ("search/hypervolume", record.hypervolume), ("search/best_loss", said["best_loss"]),
        ("search/even_loss", said["even_loss"]), ("search/best_score", said["best_score"]),
    ):  # fmt: skip
        if value is not None:
            metrics[name] = float(value)
    details = {"conclusion": said, "front": record.front, "seconds": record.seconds, "notices": record.notices}
    around = environment(pick_device("cpu"), {"threads": record.threads})
    write_json(work.folder / "results.json", {"metrics": metrics, "details": details, "environment": around})
    work.write()
    work.tell("finished", eta_s=0.0)
