"""What a shaped encoder's forward pass costs beside a plain one: ``python -m tests.benchmarks.bench_shapes``.

Measured against the promise: at equal parameters between embeddings and pooler, layers of differing width on one stream
(bus) and on a stream that changes (stepped) take at most a tenth longer than stock BERT, whose layers are alike. All
have random weights and six layers; each round times all of them, one pass after the other, in another order.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.config.shape import EncoderShape
from core.models.shaped import count
from core.search.widths import Space, shape_for

__all__ = ["SHAPES", "main", "measure", "shapes"]

PROMISED = 1.1
#: Half of the bundled encoder's parameters between embeddings and pooler.
BUDGET = 5_322_000
#: Stream, mode and widths, lowest layer first.
SHAPES: dict[str, tuple[int, str, list[int]]] = {
    "plain": (256, "bus", [256] * 6),
    "bus": (384, "bus", [320, 288, 288, 256, 256, 320]),
    "stepped": (192, "stepped", [192, 224, 256, 256, 288, 320]),
}
LENGTH = 64
#: Texts at once, and passes a round.
BATCHES = {1: 20, 32: 3}
THREADS = 2


def shapes() -> dict[str, EncoderShape]:
    """Return the shapes by name: heads of 32 directions, FFN units that meet the budget."""
    found = {}
    for name, (stream, mode, widths) in SHAPES.items():
        space = Space(
            layers=len(widths), stream=stream, head_size=32, budget=BUDGET, readout=False,
            mode="stepped" if mode == "stepped" else "bus",
        )  # fmt: skip
        shape = shape_for(space, widths)
        assert shape is not None, name
        found[name] = shape
    return found


def measure(rounds: int, until: float) -> dict[str, Any]:
    """Time all shapes in turns and return medians, and ratios to the plain one of the same round."""
    import torch
    from transformers import AutoModel

    from core.models.shaped.configuration import config_of
    from core.models.shaped.register import register

    register()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    models = {name: AutoModel.from_config(config_of(one)).eval() for name, one in shapes().items()}
    times: dict[tuple[str, int], list[float]] = {(name, texts): [] for name in models for texts in BATCHES}
    rng = np.random.default_rng(0)
    done = 0
    with torch.inference_mode():
        for number in range(rounds + 1):  # the first one warms up
            if done and time.monotonic() > until:
                break
            for texts, passes in BATCHES.items():
                ids = torch.from_numpy(rng.integers(1000, 20000, size=(texts, LENGTH)))
                mask = torch.ones_like(ids)
                seconds: dict[str, list[float]] = {name: [] for name in models}
                for _ in range(passes):
                    for name in rng.permutation(list(models)):
                        began = time.perf_counter()
                        models[name](input_ids=ids, attention_mask=mask)
                        seconds[name].append(time.perf_counter() - began)
                if number:
                    for name, those in seconds.items():
                        times[name, texts].append(1000 * statistics.median(those))
            done += number > 0
    told = {}
    for name, one in shapes().items():
        entry: dict[str, Any] = {
            "widths": [layer.width for layer in one.layers], "units": [layer.intermediate for layer in one.layers],
            "parameters": count(one).body, "flops": count(one).flops(LENGTH), "batches": {},
        }  # fmt: skip
        for texts in BATCHES:
            ratios = [own / plain for own, plain in zip(times[name, texts], times["plain", texts], strict=True)]
            entry["batches"][str(texts)] = {
                "median_ms": round(statistics.median(times[name, texts]), 3),
                "ratio": round(statistics.median(ratios), 4),
                "lowest": round(min(ratios), 4), "highest": round(max(ratios), 4),
            }  # fmt: skip
        told[name] = entry
    return {"promised": PROMISED, "length": LENGTH, "threads": THREADS, "rounds": done, "shapes": told}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write ``docs/results/shapes.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(arguments)
    found = measure(options.rounds, time.monotonic() + 60 * options.minutes)
    target = Path(__file__).resolve().parents[2] / "docs" / "results" / "shapes.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    ratios = [one["ratio"] for shape in found["shapes"].values() for one in shape["batches"].values()]
    return 0 if max(ratios) <= PROMISED else 1


if __name__ == "__main__":
    raise SystemExit(main())
