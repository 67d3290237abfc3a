"""What the ready plans reach: every plan × seed through the command line, one JSON each, and the README's table.

python -m tests.benchmarks.quality --minutes 20     # measures what is missing, then renders
python -m tests.benchmarks.quality --render         # renders only
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "quality"
PLANS = {"reviews-full": "test/accuracy", "tweets-tagging": "test/strict_f1"}
SEEDS = range(5)
BEGIN, END = "<!-- results:quality -->", "<!-- /results:quality -->"


def measure(plan: str, seed: int, home: Path) -> dict[str, Any]:
    """Run one plan with one seed in a home of its own and return what the command line printed, with the baseline."""
    file = ROOT / "docs" / "plans" / f"{plan}.yaml"
    call = [sys.executable, "-c", "from core.cli import main; main()"]
    command = [*call, "run", str(file), "--set", f"runtime.seed={seed}", "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "BERTLOOM_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{plan}, seed {seed}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
    answer = json.loads(done.stdout)
    results = json.loads((home / "runs" / answer["id"] / "results.json").read_text(encoding="utf-8"))
    return {
        "plan": plan, "seed": seed, "metrics": answer["metrics"], "seconds": round(time.perf_counter() - started, 1),
        "baseline": _baseline(plan, results, home), "choices": results.get("choices"),
        "environment": results.get("environment"),
    }  # fmt: skip


def _baseline(plan: str, results: dict[str, Any], home: Path) -> dict[str, float]:
    """Return the score of a method that needs no model, on the same test rows."""
    from core.config import load_plan
    from core.data.roles import load_roles
    from core.data.tasks.tagging_scores import most_frequent_tagger

    config = load_plan(ROOT / "docs" / "plans" / f"{plan}.yaml")
    roles = load_roles(config.data, config.task, cache=home / "cache")
    if config.task.kind == "tagging":
        return {"most frequent tag a word": most_frequent_tagger(roles.train, roles.test, roles.labels)["strict_f1"]}
    counts = [list(roles.test["label"]).count(index) for index in range(len(roles.labels))]
    return {"majority": max(counts) / sum(counts)}


def render() -> str:
    """Return the table of everything measured."""
    lines = [
        "| plan | metric (`test`) | mean ± sd | seeds | lowest – highest | baseline | seconds a run |",
        "|---|---|---|---|---|---|---|",
    ]
    for plan, metric in PLANS.items():
        found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob(f"{plan}-*.json"))]
        values = [item["metrics"][metric] for item in found]
        if len(values) < 2:
            continue
        (name, base), *_ = found[0]["baseline"].items()
        seconds = statistics.median(item["seconds"] for item in found)
        score = f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f} | {len(values)}"
        lines.append(
            f"| [`{plan}`](docs/plans/{plan}.yaml) | {metric.removeprefix('test/')} | {score} "
            f"| {min(values):.3f} – {max(values):.3f} | {base:.3f} ({name}) | {seconds:.0f} |"
        )
    return "\n".join(lines)


def rewrite(readme: str) -> str:
    """Return the README's text with the table in its place."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def main() -> None:
    """Measure what is missing and render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this time; the next call goes on")
    parser.add_argument("--render", action="store_true", help="render only")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in () if options.render else SEEDS:
        for plan in PLANS:
            file = RESULTS / f"{plan}-{seed}.json"
            if file.exists() or time.monotonic() > until:
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = measure(plan, seed, Path(folder))
            file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(plan, seed, found["metrics"], f"{found['seconds']} s", flush=True)
    readme = ROOT / "README.md"
    readme.write_text(rewrite(readme.read_text(encoding="utf-8")), encoding="utf-8")
    print(render())


if __name__ == "__main__":
    main()
