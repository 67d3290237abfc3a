"""The few style rules that Streamlit's theme cannot express. Fixed text: nothing of a person goes in here."""

from __future__ import annotations

import streamlit as st

__all__ = ["apply_style"]

_CSS = """
<style>
/* Content of every page: as wide as curves need, not as wide as the screen. */
[data-testid="stMainBlockContainer"] { max-width: 1480px; padding-inline: clamp(1rem, 3vw, 3rem); }
[data-testid="stSidebarHeader"] { height: 4.25rem; }
/* The header's words shrink before its actions wrap. */
.st-key-page_header h1 { padding: 0 0 0.7rem; line-height: 1.25; overflow-wrap: anywhere; }
.st-key-page_header > :first-child { min-width: min(22rem, 100%); }
/* Cards: figures that stand still while they change. */
[data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }
[data-testid="stMetricLabel"] { opacity: 0.85; }
.st-key-run_card [data-testid="stPageLink"] a { padding-left: 0; }
/* Phones: two cards a row. */
@media (max-width: 640px) {
  [class*="st-key-run_cards_"] { min-width: calc(50% - 0.6rem) !important; }
  .st-key-page_header_actions { justify-content: flex-start !important; width: 100%; }
}
</style>
"""


def apply_style() -> None:
    """Add the rules to the page."""
    st.html(_CSS)
