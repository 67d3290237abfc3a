"""A report as one stand-alone HTML page, or as Markdown: nothing in it leads anywhere else."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence

from core.render.graph_page import DARK, LIGHT
from core.render.look import Look
from core.render.report_block import Block

__all__ = ["html_report", "markdown_report"]

_SPACE = re.compile(r' xmlns="[^"]*"')
_ADDRESS = re.compile("http", re.IGNORECASE)
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#])")


def html_report(blocks: Sequence[Block]) -> str:
    """Return a page that needs no other file: figures are drawn in it, and no address stands in it.

    Parameters
    ----------
    blocks
        The report.
    """
    title = next((one.text for one in blocks if one.kind == "title"), "Report")
    body = "\n".join(_html(one) for one in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_style()}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _text(value: str) -> str:
    """Return words as text of a page; an address within them is spelled so that nothing takes it for a link."""
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", html.escape(value))


def _html(one: Block) -> str:
    match one.kind:
        case "title":
            return f"<h1>{_text(one.text)}</h1>"
        case "heading":
            return f"<h2>{_text(one.text)}</h2>"
        case "words":
            return f"<p>{_text(one.text)}</p>"
        case "figure":
            return f"<figure>{_figure(one.text)}</figure>"
        case "file":
            return f"<h3>{_text(one.title)}</h3><pre>{_text(one.text)}</pre>"
    head, *rows = one.rows
    cells = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


def _figure(svg: str) -> str:
    """Return a figure as a part of a page: there it needs no name space, and any address within is words."""
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", _SPACE.sub("", svg, count=1))


def _style() -> str:
    def colours(look: Look) -> str:
        return (
            f":root{{--text:{look.text};--ground:{look.background};--line:{look.grid};--soft:{look.roles['muted']};"
            f"--first:{look.colour(0)}}}"
        )

    return (
        f"{colours(LIGHT)}@media(prefers-color-scheme:dark){{{colours(DARK)}}}"
        "body{margin:0;background:var(--ground);color:var(--text);font:16px/1.55 'Source Sans 3',system-ui,sans-serif}"
        "main{max-width:1040px;margin:0 auto;padding:24px 16px 64px}h1{line-height:1.2}"
        "h2{margin-top:2.2em;border-bottom:2px solid var(--first);padding-bottom:.2em}"
        ".wide{overflow-x:auto;margin:1em 0}table{border-collapse:collapse;font-size:14px;width:100%}"
        "th,td{text-align:left;vertical-align:top;padding:6px 10px;min-width:3.5em;border-bottom:1px solid var(--line)}"
        "th{color:var(--soft);font-weight:600;white-space:nowrap}td{overflow-wrap:break-word}"
        "figure{margin:1em 0;overflow-x:auto}svg{max-width:100%;min-width:600px;height:auto}"
        "pre{overflow-x:auto;padding:12px;border:1px solid var(--line);border-radius:8px;font-size:13px}"
    )


def markdown_report(blocks: Sequence[Block]) -> str:
    """Return the report as Markdown; figures are images within it.

    Parameters
    ----------
    blocks
        The report.
    """
    return "\n\n".join(_markdown(one) for one in blocks) + "\n"


def _markdown(one: Block) -> str:
    match one.kind:
        case "title":
            return f"# {_plain(one.text)}"
        case "heading":
            return f"## {_plain(one.text)}"
        case "words":
            return _plain(one.text)
        case "figure":
            data = base64.b64encode(one.text.encode()).decode()
            return f"![{_plain(one.title)}](data:image/svg+xml;base64,{data})"
        case "file":
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", one.text)), default=0))
            return f"**{_plain(one.title)}**\n\n{fence}\n{one.text.rstrip()}\n{fence}"
    head, *rows = one.rows
    lines = [f"| {' | '.join(_plain(cell) for cell in head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows)])


def _plain(text: str) -> str:
    """Return words as Markdown shows them: signs that mean something there are spelled, lines are one."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
