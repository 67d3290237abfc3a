"""The explorer's few style rules. Fixed text: nothing of a person goes in here."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """<style>
/* The query: words on one line, weights on the next; both wrap on a narrow screen. */
.st-key-graph_words_row > div:has(> .st-key-graph_from), .st-key-graph_words_row > div:has(> .st-key-graph_to) {
  flex: 2 1 12rem; min-width: 10rem;
}
.st-key-graph_words_row > div:has(> .st-key-graph_between) { flex: 1 1 12rem; min-width: 11rem; }
.st-key-graph_mixing > div { flex: 1 1 8rem; min-width: 7.5rem; }
.st-key-graph_mixing > div:has(> .st-key-graph_layer) { flex: 2 1 12rem; }
.st-key-graph_mixing > div:has(> .st-key-graph_conditions) { flex: 0 0 auto; align-self: center; }
/* The picture is drawn before the query above it, and must not be pushed down when that comes. */
.st-key-graph_bar { min-height: 172px; }
@media (max-width: 1280px) { .st-key-graph_bar { min-height: 240px; } }
@media (max-width: 640px) { .st-key-graph_bar { min-height: 337px; } }
.st-key-graph_view_row { min-height: 40px; }
/* Fetches scripts and shows nothing; as an element it would still have a gap. */
.st-key-graph_preload { display: none; }
/* The swap keeps its word for screen readers. */
.st-key-graph_swap button [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
/* Explanation: as high as the picture, and it scrolls by itself. */
.st-key-graph_side { max-height: calc(clamp(22rem, 54vh, 38rem) + 13rem); overflow-y: auto; }
.st-key-graph_side p { overflow-wrap: anywhere; }
.st-key-graph_path_words h3 { overflow-wrap: anywhere; padding-top: 0; }
.bl-shares { display: flex; height: 0.55rem; border-radius: 999px; overflow: hidden; gap: 2px; }
.bl-shares span { min-width: 2px; }
.bl-share-words { display: flex; flex-wrap: wrap; gap: 0.1rem 0.8rem; font-size: 0.8rem; margin-top: 0.3rem; }
.bl-share { display: inline-flex; align-items: center; gap: 0.35rem; font-variant-numeric: tabular-nums; }
.bl-share i { width: 0.6rem; height: 0.6rem; border-radius: 2px; }
.st-key-graph_arcs { overflow-x: auto; }
.st-key-graph_empty [data-testid="stCaptionContainer"] { max-width: 44rem; margin-inline: auto; }
@media (max-width: 640px) { .st-key-graph_side { max-height: none; } }
</style>"""
