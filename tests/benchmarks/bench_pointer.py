"""A training step with a head that points against the linear head: ``python -m tests.benchmarks.bench_pointer``.

Tagging, the bundled encoder, the bundled tweets joined until a text fills 256 sub-words. Both arms take the same
batches on the same path with the same precision, threads and optimiser, one step after the other in turns; a step is
forward, loss, backward and update. Ratios are of medians over the steps, and of medians round by round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from core.config import Plan

__all__ = ["LENGTH", "PROMISED", "joined", "main", "measure", "summary"]

LENGTH, _BATCH = 256, 8
#: Largest ratio that is promised, pointer to linear.
PROMISED = 1.2
_WARM, _STEPS = 2, 5
HEADS = ("linear", "pointer")


def joined(target: Path, cache: Path, texts: int = 64) -> Path:
    """Write tagged tweets, joined until each text has more sub-words than a window; return the file."""
    from core.config import DataConfig, TaskConfig
    from core.data.roles import load_roles

    roles = load_roles(DataConfig(source="tweets"), TaskConfig(kind="tagging"), cache=cache)
    rows = roles.train
    tokens: list[str] = []
    tags: list[str] = []
    written = 0
    with target.open("w", encoding="utf-8") as file:
        for number in range(len(rows)):
            row = rows[number]
            tokens += row["tokens"]
            tags += [roles.labels[tag] for tag in row["tags"]]
            if len(tokens) >= LENGTH:  # a word has a sub-word at least
                file.write(json.dumps({"tokens": [*tokens, str(number)], "tags": [*tags, "O"]}) + "\n")
                tokens, tags, written = [], [], written + 1
            if written == texts:
                break
    return target


def _plan(file: Path, head: str, threads: int | str) -> Plan:
    return Plan.model_validate(
        {
            "task": {"kind": "tagging", "head": head},
            "data": {"source": str(file)},
            "model": {"source": "bundled", "max_length": LENGTH},
            "stages": [{"steps": 1000, "lr": 1e-4, "batch_size": _BATCH}],
            "runtime": {"threads": threads, "precision": "fp32", "device": "cpu"},
        }
    )


def measure(rounds: int, minutes: float, threads: int = 1) -> dict[str, Any]:
    """Measure both heads in turns.

    Parameters
    ----------
    rounds
        Rounds of some steps each.
    minutes
        No round begins after this time.
    threads
        Of torch.

    Returns
    -------
    dict
        ``seconds`` {head: {path: [[seconds of each step] a round]}}, ``threads``, ``length``, ``batch``,
        ``parameters`` {head: of the head}.
    """
    import torch

    from core.training.prepare import prepare
    from core.training.session import Session

    torch.set_num_threads(threads)
    until = time.monotonic() + 60 * minutes
    seconds: dict[str, dict[str, list[list[float]]]] = {head: {} for head in HEADS}
    parameters: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = joined(folder / "long.jsonl", folder)
        sessions = {}
        for head in HEADS:
            prepared = prepare(_plan(file, head, threads), folder)
            units, model = prepared.material.units, prepared.model
            parameters[head] = sum(one.numel() for name, one in model.named_parameters() if units[name] == "head")
            prepared.release()
            sessions[head] = Session(prepared.material, prepared.stage, 0)
        full = [at for at, length in enumerate(sessions["linear"].prepared.lengths) if length == LENGTH]
        batches = [torch.tensor(full[at : at + _BATCH]).numpy() for at in range(0, len(full) - _BATCH + 1, _BATCH)]
        for path in ("stock", "packed"):
            for session in sessions.values():
                session.engine.use_path(path)
            for number in range(rounds):
                if time.monotonic() > until:
                    break
                for head in HEADS:
                    seconds[head].setdefault(path, []).append([])
                for step in range(_WARM * (number == 0) + _STEPS):
                    batch = batches[step % len(batches)]
                    for head in HEADS if step % 2 else reversed(HEADS):
                        rates = {group.name: 1e-4 for group in sessions[head].prepared.groups}
                        begun = time.perf_counter()
                        sessions[head].step(batch, step + 1, rates)
                        if number or step >= _WARM:
                            seconds[head][path][-1].append(time.perf_counter() - begun)
    return {
        "seconds": seconds, "threads": threads, "length": LENGTH, "batch": _BATCH, "parameters": parameters,
        "torch": torch.__version__,
    }  # fmt: skip


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    """Return medians and ratios by path from what :func:`measure` returned."""
    found: dict[str, Any] = {key: value for key, value in measured.items() if key != "seconds"} | {"promised": PROMISED}
    paths: dict[str, Any] = {}
    for path in measured["seconds"]["linear"]:
        rounds = {head: measured["seconds"][head][path] for head in HEADS}
        flat = {head: [one for part in rounds[head] for one in part] for head in HEADS}
        each = [
            statistics.median(pointer) / statistics.median(linear)
            for linear, pointer in zip(rounds["linear"], rounds["pointer"], strict=True)
        ]
        medians = {head: statistics.median(flat[head]) for head in HEADS}
        paths[path] = {
            **{f"{head}_ms": round(1000 * medians[head], 2) for head in HEADS},
            "ratio": round(medians["pointer"] / medians["linear"], 4), "steps": len(flat["linear"]),
            "lowest": round(min(each), 4), "highest": round(max(each), 4), "rounds": len(each),
        }  # fmt: skip
    return found | {"paths": paths}


def main() -> int:
    """Measure, print and write; 1 where the promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0, help="no round begins after this time")
    parser.add_argument("--rounds", type=int, default=8, help="rounds a path")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="write nothing: a look whether it works")
    options = parser.parse_args()
    found = summary(measure(options.rounds, options.minutes, options.threads))
    print(json.dumps(found, indent=1))
    if not options.dry and found["paths"]:
        target = Path(__file__).resolve().parents[2] / "docs" / "results" / "pointer.json"
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(one["ratio"] > PROMISED for one in found["paths"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
