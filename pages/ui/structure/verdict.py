"""What is known of the prior: the verdict of the documented experiment, if this checkout has it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DOCUMENT", "UNPROVEN", "verdict_of"]

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "structure.md"
UNPROVEN = (
    "Whether widths that follow the statistics are better than even or random ones of equal size is not proven: "
    "the search tries both, and “Random search instead” costs the same."
)


def verdict_of(document: Path = DOCUMENT) -> list[str]:
    """Return the points under the heading Verdict, without markup; empty where the file or the heading is missing.

    Parameters
    ----------
    document
        The rendered page of the experiment.
    """
    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    _, found, rest = text.partition("\n## Verdict\n")
    if not found:
        return []
    part = rest.partition("\n## ")[0]
    points = [line.strip().removeprefix("- ") for line in part.splitlines() if line.startswith("- ")]
    return [point.replace("*", "").replace("\\", "") for point in points]
