"""Every benchmark in turn: ``make bench``, ``make bench MINUTES=20``.

Each writes one small JSON an arm and seed under ``docs/results/`` and goes on from what is there, so the minutes may be
spent in portions. Close other programs first: the figures are ratios, but a busy machine still blurs them.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

#: Modules of this package in the order of what they are worth, with their share of the time.
BENCHMARKS = (
    "bench_training",
    "bench_logging",
    "bench_search",
    "bench_shapes",
    "bench_distillation",
    "bench_joint",
    "bench_pointer",
    "bench_compare",
    "bench_dashboard",
    "bench_paths",
    "bench_vectors",
    "bench_graph_browser",
    "graph_quality",
    "quality",
)


def main() -> int:
    """Run the benchmarks until the minutes are over; the exit status is the first that is not zero."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    until = time.monotonic() + 60 * parser.parse_args().minutes
    status = 0
    for name in BENCHMARKS:
        module = f"{__package__}.{name}"
        left = (until - time.monotonic()) / 60
        if left <= 0 or importlib.util.find_spec(module) is None:
            print(f"{name}: left for the next time", flush=True)
            continue
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", module, "--minutes", f"{left:.1f}"], check=False)
        status = status or done.returncode
    subprocess.run([sys.executable, "-m", f"{__package__}.report"], check=True, stdout=subprocess.DEVNULL)
    return status


if __name__ == "__main__":
    sys.exit(main())
