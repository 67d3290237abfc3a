"""The strategy comparer: set up a comparison, and those that were made. Address: ``/strategy_comparer``."""

from __future__ import annotations

from pages.ui.comparer.setup import JOB, setup
from pages.ui.comparer.shelf import shelf
from pages.ui.components import page_header, paint_header
from pages.ui.planner_jobs import begin, watch
from pages.ui.studio import studio


def main() -> None:
    """Show the form and the comparisons of this home."""
    begin()
    page_header(
        "Strategy comparer",
        "Which way to train is better for your tasks? Equal budgets, several seeds, a verdict with its intervals.",
    )
    paint_header()
    desk = studio()
    setup(desk)
    shelf(desk)
    watch([JOB])


main()
