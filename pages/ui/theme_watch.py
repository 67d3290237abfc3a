"""Draws the page anew when a person, or their system, switches between light and dark.

Streamlit tells the theme with every run of the page, but asks for none when it changes: figures and the logo, whose
colours are chosen here, would keep the old ones until something else happens.
"""

from __future__ import annotations

import streamlit as st

from pages.ui.theme import mode

__all__ = ["watch_theme"]

_watch = st.components.v2.component(
    "bertloom_theme_watch",
    js="""
export default function ({ parentElement, data, setTriggerValue }) {
  const look = () => {
    const colour = getComputedStyle(parentElement).getPropertyValue("--st-background-color").trim();
    const found = /^#([0-9a-f]{6})$/i.exec(colour);
    const parts = found ? [0, 2, 4].map((at) => parseInt(found[1].slice(at, at + 2), 16))
      : (colour.match(/[\\d.]+/g) ?? []).slice(0, 3).map(Number);
    if (parts.length < 3) return;
    const shown = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 102 ? "dark" : "light";
    if (shown === data.mode) parentElement.blAsked = null;
    // Once for each change: a server that cannot tell the theme is not asked again and again.
    else if (parentElement.blAsked !== shown) {
      parentElement.blAsked = shown;
      setTriggerValue("switched", shown);
    }
  };
  const timer = setInterval(look, 500);
  return () => clearInterval(timer);
}
""",
    isolate_styles=False,
)


def watch_theme() -> None:
    """Watch the theme in the browser; drawn last on every page."""
    _watch(key="theme_watch", data={"mode": mode()}, on_switched_change=_ignore)


def _ignore() -> None:
    """A switch needs nothing but the rerun that it causes."""
