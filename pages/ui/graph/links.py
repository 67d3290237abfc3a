"""Links from the explorer to the explorer.

A link of Streamlit's to the page that is shown runs it with other parameters but leaves the address as it was; the next
click would lead back. Going there writes the address, and the back button undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pages.ui.leaving import go

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

__all__ = ["explorer_link"]


def explorer_link(
    where: DeltaGenerator, label: str, params: Mapping[str, str], *, key: str, icon: str = ":material/hub:",
    disabled: bool = False,
) -> None:  # fmt: skip
    """Draw a link to the explorer.

    Parameters
    ----------
    where
        The container.
    label
        Words as markdown: escape those of people.
    params
        Parameters of the address; none leads to the newest graph.
    key, icon, disabled
        As for a button.
    """
    if where.button(label, key=key, icon=icon, disabled=disabled, type="tertiary"):
        go("explorer", dict(params))
