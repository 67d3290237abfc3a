"""The page's few style rules. Fixed text: nothing of a person goes in here."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """<style>
/* The band: the parent's layers from left to right, one group a segment, filled as high as d* asks for. */
.bl-band { display: flex; gap: 0.5rem; width: 100%; margin: 0.3rem 0 0.2rem; font-variant-numeric: tabular-nums; }
.bl-band > div { min-width: 0; }
.bl-band .cells { display: flex; gap: 2px; border-radius: 6px; overflow: hidden; }
.bl-band .cell { position: relative; flex: 1 1 0; min-width: 0; height: 5.2rem;
  background: color-mix(in srgb, currentColor 8%, transparent); }
.bl-band .cell i { position: absolute; inset: auto 0 0 0; opacity: 0.42; }
.bl-band .cell.stands i { opacity: 1; }
.bl-band .cell b, .bl-band .cell small { position: absolute; left: 0; right: 0; text-align: center; font-size: 0.8rem; }
.bl-band .cell b { top: 0.2rem; font-weight: 600; }
.bl-band .cell small { bottom: 0.15rem; font-size: 0.72rem; }
.bl-band .under { text-align: center; font-size: 0.82rem; line-height: 1.3; margin-top: 0.25rem;
  overflow-wrap: anywhere; }
.bl-band .under span { opacity: 0.75; display: block; font-size: 0.75rem; }
.bl-steps { list-style: none; margin: 0.2rem 0 0.4rem !important; padding: 0 !important; display: grid; gap: 0.25rem; }
.bl-steps li { display: flex; gap: 0.55rem; align-items: baseline; margin: 0; }
.bl-steps .todo { opacity: 0.55; }
.bl-steps .mark { width: 1.1rem; text-align: center; font-weight: 600; }
.st-key-structure_demo [data-testid="stCaptionContainer"] { max-width: 40rem; margin-inline: auto; }
@media (max-width: 640px) { .bl-band { gap: 0.25rem; } .bl-band .cell small { font-size: 0.62rem; } }
</style>"""
