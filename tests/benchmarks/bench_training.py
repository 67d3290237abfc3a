"""Training speed against transformers' Trainer: ``python -m tests.benchmarks.bench_training --minutes 60 --seeds 5``.

Arms, all from the same weights, rows, batch size, epochs, rates and schedule:

``bertloom``
    :func:`core.training.train` with everything on auto. Its time includes choosing precision, threads and path.
``trainer``
    ``transformers.Trainer`` with its defaults.
``trainer-tuned``
    ``transformers.Trainer`` with batches grouped by length and bf16.
``head-cached``, ``head-recomputed``
    Ten epochs of the head alone: from activations computed once (the pass included), and computed anew in every step in
    evaluation mode without gradients.

Evaluation, data loading and the building of models are outside the measured time of every arm. Arms are interleaved,
each measurement in a process of its own, one JSON file for each arm and seed; what is there already is not measured
again. Ratios are of medians; the spread is that of the ratios seed by seed. Processors differ in what bf16 is worth,
so the figures of those where its products are faster than fp32's and of the others lie in folders of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import Plan
from core.runs.backends.process import worker_environment
from core.training import MemoryContext
from core.training.allocator import keep_freed_memory

__all__ = ["ARMS", "main", "summary"]

ARMS = ("bertloom", "trainer", "trainer-tuned", "head-cached", "head-recomputed")
_BATCH, _LR = 32, 1e-4
#: Faster arm, slower arm, smallest ratio that is promised.
_PROMISES = (("bertloom", "trainer", 3.5), ("bertloom", "trainer-tuned", 1.3), ("head-cached", "head-recomputed", 8.0))


@dataclass
class Clock(MemoryContext):
    """Notes when each phase began."""

    phases: list[tuple[str, float]] = field(default_factory=list)

    def progress(self, **values: Any) -> None:
        super().progress(**values)
        if "phase" in values and (not self.phases or self.phases[-1][0] != values["phase"]):
            self.phases.append((values["phase"], time.perf_counter()))

    def seconds(self, *names: str) -> float:
        """Return the seconds spent in phases."""
        ends = [*self.phases[1:], ("end", time.perf_counter())]
        return sum(end - start for (name, start), (_, end) in zip(self.phases, ends, strict=True) if name in names)


def bf16_speed() -> float:
    """Return how many times faster a bf16 product is than one in fp32 on this machine, with all threads."""
    import torch

    from core.training.choices import product_seconds, usable_cores

    cpu, shape = torch.device("cpu"), (512, 384, 1536)
    fp32, bf16 = (product_seconds(cpu, usable_cores(), kind, shape) for kind in ("fp32", "bf16"))
    return fp32 / bf16


def _plan(rows: int, epochs: float, seed: int, threads: int | str, **stage: Any) -> Plan:
    return Plan(
        data={"source": "reviews", "train_rows": rows, "gate_rows": 32, "test_rows": 1024},
        model={"source": "bundled", "max_length": 128},
        # One evaluation, at the last step: the best weights are the last ones, as with the peers.
        stages=[{"epochs": epochs, "lr": _LR, "batch_size": _BATCH, "eval_every": 10**9, **stage}],
        runtime={"seed": seed, "threads": threads, "device": "cpu"},
    )


def _bertloom(plan: Plan, cache: Path, folder: Path) -> dict[str, Any]:
    from core.training import train

    context = Clock(folder / "run", cache)
    train(plan, context)
    results = json.loads((context.folder / "results.json").read_text())
    parts = {name: round(context.seconds(name), 3) for name in ("timing", "caching", "training")}
    return {
        "seconds": round(sum(parts.values()), 3), "parts": parts,
        "test_loss": results["metrics"]["test/loss"],
        "test_accuracy": results["metrics"]["test/accuracy"],
        "steps": results["training"]["steps"],
        "choices": {key: results["choices"][key] for key in ("precision", "threads", "path")},
    }  # fmt: skip


def _trainer(plan: Plan, cache: Path, folder: Path, threads: int | str, tuned: bool) -> dict[str, Any]:
    import torch
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments, set_seed

    from core.data.roles import load_roles
    from core.data.tasks import task_for
    from core.models import build_model

    if threads != "auto":
        torch.set_num_threads(int(threads))
    stage, seed = plan.stages[0], plan.runtime.seed
    roles = load_roles(plan.data, plan.task, cache=cache)
    task = task_for(plan.task, roles.labels)
    model, tokenizer = build_model(plan.model, task, seed=seed)
    encoded = {role: task.encode(getattr(roles, role), tokenizer, plan.model.max_length) for role in ("train", "test")}
    rows = [
        {"input_ids": [int(piece) for piece in one["input_ids"]], "labels": int(one["labels"])}
        for one in encoded["train"].features
    ]
    if tuned:  # grouping asks for a data set with a column
        import datasets

        rows = datasets.Dataset.from_list(rows)
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=_BATCH, num_train_epochs=stage.epochs,
        learning_rate=stage.lr,
        weight_decay=stage.weight_decay, warmup_steps=stage.schedule.warmup, seed=seed, use_cpu=True,
        save_strategy="no",
        report_to="none", disable_tqdm=True, bf16=tuned,
        **({"train_sampling_strategy": "group_by_length"} if tuned else {}),
    )  # fmt: skip
    set_seed(seed)
    times: dict[str, float] = {}

    class Times(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times["begin"] = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            times["end"] = time.perf_counter()

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Times()],
    )
    trainer.train()
    model.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(encoded["test"].features), 64):
            batch = task.collate(encoded["test"].features[start : start + 64], tokenizer)
            labels = batch.pop("labels")
            logits.extend(model(**batch).logits.float().numpy())
            del labels
    metrics = task.evaluate(logits, encoded["test"], roles.test).metrics
    return {
        "seconds": round(times["end"] - times["begin"], 3), "test_loss": metrics["loss"],
        "test_accuracy": metrics["accuracy"],
        "steps": trainer.state.global_step, "choices": {"threads": torch.get_num_threads()},
    }  # fmt: skip


def measure(arm: str, seed: int, rows: int, epochs: float, threads: int | str, cache: Path) -> dict[str, Any]:
    """Measure one arm once, in this process."""
    if not arm.startswith("trainer"):
        keep_freed_memory()  # as every worker does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arm == "bertloom":
            found = _bertloom(_plan(rows, epochs, seed, threads), cache, folder)
        elif arm.startswith("head"):
            plan = _plan(rows, 10, seed, threads, freeze_encoder=True, cache_activations=arm == "head-cached")
            found = _bertloom(plan, folder / "cache", folder)  # an empty cache: the pass is part of the time
        else:
            found = _trainer(_plan(rows, epochs, seed, threads), cache, folder, threads, arm == "trainer-tuned")
    return {"arm": arm, "seed": seed, "rows": rows, "epochs": epochs, "bf16_speed": round(bf16_speed(), 2), **found}


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians, ratios with their spread, and the held-out losses of each arm."""
    by_arm: dict[str, dict[int, dict[str, Any]]] = {}
    for one in found:
        by_arm.setdefault(one["arm"], {})[one["seed"]] = one
    arms = {}
    for arm, seeds in by_arm.items():
        seconds = [one["seconds"] for one in seeds.values()]
        losses = [one["test_loss"] for one in seeds.values()]
        arms[arm] = {
            "runs": len(seconds), "median_s": statistics.median(seconds), "fastest_s": min(seconds),
            "slowest_s": max(seconds),
            "test_loss": statistics.fmean(losses),
            "test_loss_sd": statistics.stdev(losses) if len(losses) > 1 else None,
            "test_loss_range": [min(losses), max(losses)],
        }  # fmt: skip
    ratios = {}
    for fast, slow, least in _PROMISES:
        if fast in by_arm and slow in by_arm:
            common = sorted(by_arm[fast].keys() & by_arm[slow].keys())
            each = [by_arm[slow][seed]["seconds"] / by_arm[fast][seed]["seconds"] for seed in common]
            if each:
                ratio = arms[slow]["median_s"] / arms[fast]["median_s"]
                ratios[f"{slow} / {fast}"] = {
                    "ratio": round(ratio, 3), "low": round(min(each), 3), "high": round(max(each), 3),
                    "at_least": least,
                    "held": ratio >= least, "seeds": len(common),
                }  # fmt: skip
    return {"arms": arms, "ratios": ratios}


def main(arguments: list[str] | None = None) -> int:
    """Measure until every arm has every seed, or the minutes are over; print the summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--threads", default="auto")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path, help="default: docs/results/training/bf16-fast or bf16-slow")
    parser.add_argument("--one", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    threads: int | str = given.threads if given.threads == "auto" else int(given.threads)
    if given.out is None:
        given.out = Path("docs/results/training") / ("bf16-fast" if bf16_speed() > 1 else "bf16-slow")
    cache = given.out / ".cache"
    if given.one:
        found = measure(given.one, given.seed, given.rows, given.epochs, threads, cache)
        (given.out / f"{given.one}-{given.seed}.json").write_text(json.dumps(found, indent=1) + "\n")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * given.minutes
    for seed in range(given.seeds):
        turn = seed % len(given.arms)
        for arm in (*given.arms[turn:], *given.arms[:turn]):  # no arm always comes first
            if (given.out / f"{arm}-{seed}.json").exists() or time.monotonic() > end:
                continue
            command = [
                sys.executable, "-m", "tests.benchmarks.bench_training", "--one", arm, "--seed", str(seed),
                "--rows", str(given.rows),
                "--epochs", str(given.epochs), "--threads", str(threads), "--out", str(given.out),
            ]  # fmt: skip
            # Ours runs in the environment of a worker, the peers in that of whoever starts them.
            environment = dict(os.environ) if arm.startswith("trainer") else worker_environment(hub=False)
            subprocess.run(command, check=True, env=environment)
    everything = [json.loads(path.read_text()) for path in sorted(given.out.glob("*-*.json"))]
    alike = [one for one in everything if one["rows"] == given.rows and one["epochs"] == given.epochs]
    text = json.dumps(summary(alike), indent=1)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
