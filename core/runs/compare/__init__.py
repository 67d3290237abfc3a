"""Comparing arms that were run with several seeds: intervals, corrections, verdicts. What is exported here is pure.

Two sources of error are kept apart: *seeds* (another run of the same arm would score differently; t-intervals) and
*documents* (other test rows would score differently; bootstrap and permutation over rows). A verdict needs both, and
the interval in which both are added.
"""

from core.runs.compare.crossed import CrossedDifference, crossed_difference
from core.runs.compare.documents import Documents, bootstrap_interval, bootstrap_intervals, permutation_p
from core.runs.compare.holm import holm, holm_levels
from core.runs.compare.seeds import SeedDifference, paired_difference, seeds_needed, welch_difference
from core.runs.compare.steps import restricted, steps_to_target
from core.runs.compare.verdict import LEAST_SEEDS, TOGETHER, Comparison, Pair, Verdict, compare

__all__ = [
    "LEAST_SEEDS", "TOGETHER", "Comparison", "CrossedDifference", "Documents", "Pair", "SeedDifference", "Verdict",
    "bootstrap_interval", "bootstrap_intervals", "compare", "crossed_difference", "holm", "holm_levels",
    "paired_difference", "permutation_p", "restricted", "seeds_needed", "steps_to_target", "welch_difference",
]  # fmt: skip
