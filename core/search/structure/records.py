"""What a search keeps of itself: one JSON file a candidate, and ``search.json``.

A stop at any moment loses what one candidate was at. Plain data without torch: pages read it while the worker writes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.errors import StorageError
from core.training.files import write_json

__all__ = ["CANDIDATES", "Candidate", "Rung", "SearchRecord", "fingerprint", "key_of", "read_candidates"]

#: Folder of the candidates' files in a run's folder.
CANDIDATES = "candidates"
_SEARCH = "search.json"
FORMAT = 1


@dataclass
class Rung:
    """What one rung made of a candidate.

    Parameters
    ----------
    number
        Of the rung, from 0.
    steps
        Steps of training so far, this rung's included.
    before, loss
        Held-out loss before and after this rung.
    seconds
        Of this rung.
    curve
        (step, held-out loss), steps counted over all rungs.
    """

    number: int
    steps: int
    before: float
    loss: float
    seconds: float
    curve: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Candidate:
    """One shape and what became of it.

    Parameters
    ----------
    key
        Name of its file; a fingerprint of shape and segments.
    order
        Its place among those that are ranked, from 0.
    source, label
        Where its widths come from; see :class:`core.search.structure.sampling.Proposal`.
    depth, widths, units
        Layers, their widths and FFN units.
    shape
        The whole shape, as plain data.
    segments
        For each layer the parent's layer that gives weights, and the last one that it stands for; from 0.
    parameters, total, flops
        Between embeddings and pooler; with them; operations for one text of 64 sub-words.
    latency
        See :class:`core.search.latency.Latency`; None where none was measured.
    rank_loss, rank_last, rank_layers
        Held-out loss to the parent after inheritance, before any training, and its parts; None until it is ranked.
    rank_seconds
        Seconds that inheriting and measuring took.
    rank
        Its place within its depth, from 1, once all are ranked.
    rungs
        What training made of it.
    score, test, metric
        Gate score after fine-tuning, the scores on test rows, and the metric's name.
    run, finetune_run
        Ids of its child runs: distillation and fine-tuning.
    """

    key: str
    order: int
    source: str
    label: str
    depth: int
    widths: list[int]
    units: list[int]
    shape: dict[str, Any]
    segments: list[tuple[int, int]]
    parameters: int
    total: int
    flops: int
    latency: dict[str, Any] | None = None
    rank_loss: float | None = None
    rank_last: float | None = None
    rank_layers: list[float] = field(default_factory=list)
    rank_seconds: float | None = None
    rank: int | None = None
    rungs: list[Rung] = field(default_factory=list)
    score: float | None = None
    test: dict[str, float] = field(default_factory=dict)
    metric: str | None = None
    run: str | None = None
    finetune_run: str | None = None

    @property
    def loss(self) -> float | None:
        """Held-out loss after the training so far; None until it was trained."""
        return self.rungs[-1].loss if self.rungs else None

    @property
    def steps(self) -> int:
        """Steps of training so far."""
        return self.rungs[-1].steps if self.rungs else 0

    @property
    def encoder_shape(self) -> EncoderShape:
        """Its shape."""
        return EncoderShape.model_validate(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Candidate:
        """Return what :meth:`as_dict` gave; keys of a later version are left out."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        values["segments"] = [(int(one), int(other)) for one, other in values["segments"]]
        values["rungs"] = [_rung(one) for one in data["rungs"]]
        return cls(**values)

    def write(self, folder: Path) -> None:
        """Write its file, whole or not at all.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        place = folder / CANDIDATES
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder cannot be written: {error.strerror}.", where=str(place)) from error
        write_json(place / f"{self.key}.json", self.as_dict())


@dataclass
class SearchRecord:
    """How far a search is.

    Parameters
    ----------
    key
        Fingerprint of what the candidates depend on; a search of another one begins anew.
    parent
        See :meth:`core.search.structure.budget.SearchParent.as_dict`.
    budget
        ``parameters``, ``tolerance``, ``latency_ms``.
    wanted
        Candidates that were asked for.
    sampler
        ``prior``, ``random`` or ``tpe``.
    depths
        The depths that are tried, each with its segments {first, last, representative, least}.
    objectives, reference
        What the front weighs, and the bound of each objective, by which values are divided.
    chosen
        Whether the candidates are chosen: a search that was stopped before that begins anew.
    order
        Keys of all candidates, in the order in which they are ranked; complete from the start except with ``tpe``.
    rungs
        Keys of those that enter each rung, as far as it is decided.
    kept
        Keys of the references: even shapes that are trained along whatever their loss.
    front, hypervolume
        As of now.
    history
        One entry each time the front was computed: ``step`` (candidates ranked and trained so far), ``phase``,
        ``hypervolume``, ``best_loss``, ``front``.
    phase, seconds
        What is done now, and the seconds of each phase so far.
    bytes
        What the weights of candidates take on the disk now.
    statistics
        Key of the statistics in the cache.
    notices
        What a person should know.
    threads
        torch threads that it began with: products of another number differ in their last bits.
    ended
        Whether all is done.
    """

    key: str
    parent: dict[str, Any]
    budget: dict[str, Any]
    wanted: int
    sampler: str
    depths: dict[str, list[dict[str, Any]]]
    objectives: list[str]
    reference: dict[str, float]
    chosen: bool = False
    order: list[str] = field(default_factory=list)
    rungs: list[list[str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    front: list[str] = field(default_factory=list)
    hypervolume: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    phase: str = "sampling"
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    statistics: str = ""
    notices: list[str] = field(default_factory=list)
    threads: int = 1
    ended: bool = False
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> SearchRecord | None:
        """Return what a run's folder holds, or None."""
        data = _read(folder / _SEARCH)
        if data is None or data.get("format") != FORMAT:
            return None
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_json(folder / _SEARCH, asdict(self))

    def note(self, words: str) -> bool:
        """Keep a notice once; returns whether it is new."""
        if words in self.notices:
            return False
        self.notices.append(words)
        return True


def read_candidates(folder: Path) -> dict[str, Candidate]:
    """Return the candidates of a run's folder by key; a file that cannot be read is as if it were not there."""
    found = {}
    place = folder / CANDIDATES
    for path in sorted(place.glob("*.json")) if place.is_dir() else ():
        data = _read(path)
        if data is not None:
            try:
                one = Candidate.from_dict(data)
            except (KeyError, TypeError, ValueError):
                continue
            found[one.key] = one
    return found


def key_of(shape: EncoderShape, segments: Sequence[tuple[int, int]]) -> str:
    """Return a fingerprint of a candidate."""
    told = [shape.model_dump(mode="json"), [list(one) for one in segments]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(config: StructureConfig) -> str:
    """Return a fingerprint of what all candidates depend on."""
    return hashlib.sha256(json.dumps(config.relevant(), sort_keys=True).encode()).hexdigest()[:32]


def _rung(data: dict[str, Any]) -> Rung:
    # JSON has no infinity: the loss of a candidate that diverged comes back as None
    before, loss = (math.inf if data[name] is None else float(data[name]) for name in ("before", "loss"))
    curve = [(int(step), float(value)) for step, value in data["curve"]]
    return Rung(int(data["number"]), int(data["steps"]), before, loss, float(data["seconds"]), curve)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
