"""Claims: sentences about training, each tested by one button on a person's own data. Address: ``/claims``."""

from __future__ import annotations

from pages.ui.claims_shelf import cards, setup
from pages.ui.components import page_header, paint_header
from pages.ui.planner_jobs import begin, watch
from pages.ui.studio import studio


def main() -> None:
    """Show the shelf."""
    begin()
    page_header(
        "Claims", "Sentences about training, tested on your own data: arms × seeds, intervals, and a verdict in words."
    )
    paint_header()
    desk = studio()
    chosen = setup(desk)
    cards(desk, chosen)
    watch([f"claim_{one['name']}" for one in desk.claims.list()])


main()
