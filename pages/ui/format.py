"""Numbers, times and sizes as people read them, and other people's words as plain text."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime

__all__ = [
    "bytes_text",
    "clock",
    "count",
    "duration",
    "interval",
    "metric_name",
    "metric_value",
    "number",
    "percent",
    "plain",
    "points",
    "relative",
    "when",
]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&:@^=\"'/])")
_MISSING = "–"
#: Metrics that are shares of 1 and therefore shown in per cent.
_SHARES = ("accuracy", "f1", "precision", "recall", "em", "uas", "las", "tree_share", "combined")


def plain(text: object, limit: int | None = None) -> str:
    """Return `text` so that Streamlit's markdown shows it as it is: no markup, link, icon, formula or HTML.

    Parameters
    ----------
    text
        Words of a person, of a file, or of an error.
    limit
        Longest result in characters of the original; more is cut with an ellipsis.
    """
    words = " ".join(str(text).split())
    if limit is not None and len(words) > limit:
        words = words[: limit - 1] + "…"
    # A word joiner after a colon keeps `:name:` from becoming an icon: those are replaced after the escapes are read.
    return _MARKDOWN.sub(r"\\\1", words).replace("\\:", "\\:\u2060")


def _finite(value: float | int | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | int | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, thousands separated, tiny and huge ones as powers of ten."""
    if value is None or not math.isfinite(value):
        return _MISSING if value is None or math.isnan(value) else ("∞" if value > 0 else "-∞")
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e7:
        mantissa, exponent = f"{value:.{max(digits - 1, 0)}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    decimals = max(digits - 1 - math.floor(math.log10(size)), 0)
    return f"{value:,.{decimals}f}"


def count(value: float | int | None) -> str:
    """Return a whole number with thousands separated."""
    return f"{round(value):,}" if value is not None and math.isfinite(value) else _MISSING


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of 1 in per cent."""
    return f"{share * 100:.{digits}f} %" if share is not None and math.isfinite(share) else _MISSING


def points(difference: float | None, digits: int = 1) -> str:
    """Return a difference of two shares in percentage points, with its sign."""
    return f"{difference * 100:+.{digits}f} pt" if difference is not None and math.isfinite(difference) else _MISSING


def duration(seconds: float | None) -> str:
    """Return a time span: ``850 ms``, ``42 s``, ``4 min 12 s``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return _MISSING
    if 0 < seconds < 1:
        return f"{max(round(seconds * 1000), 1)} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def clock(seconds: float | None) -> str:
    """Return a time span as a clock: ``04:12`` or ``1:02:33``."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return _MISSING
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def bytes_text(size: float | int | None) -> str:
    """Return a size in decimal units: ``812 B``, ``4.2 MB``, ``1.3 GB``."""
    if size is None or not math.isfinite(size) or size < 0:
        return _MISSING
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def when(moment: float | None) -> str:
    """Return a point in time in this machine's zone: ``2026-11-22 14:15``."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M") if moment else _MISSING


def relative(moment: float | None, now: float | None = None) -> str:
    """Return how long ago a moment was: ``just now``, ``5 min ago``, ``3 h ago``, ``yesterday``, then the date."""
    if not moment:
        return _MISSING
    ago = (time.time() if now is None else now) - moment
    if ago < 45:
        return "just now"
    if ago < 3600:
        return f"{max(round(ago / 60), 1)} min ago"
    if ago < 86_400:
        return f"{round(ago / 3600)} h ago"
    if ago < 2 * 86_400:
        return "yesterday"
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d")


def metric_name(name: str) -> str:
    """Return a metric's name in words: ``gate/macro_f1`` → ``Gate macro F1``, ``mcc`` → ``MCC``."""
    known = {"f1": "F1", "mcc": "MCC", "em": "exact match", "uuas": "UUAS", "dspr": "DSpr", "auc": "AUC", "mrr": "MRR"}
    known |= {"uas": "UAS", "las": "LAS", "null": "'none'"}
    words = " ".join(known.get(word, word) for word in name.replace("/", " ").replace("_", " ").split())
    return words[:1].upper() + words[1:]


def metric_value(name: str, value: float | None) -> str:
    """Return a metric's value in its unit: shares in per cent, other numbers with three significant digits."""
    if value is None or not _finite(value):
        return _MISSING
    return percent(value) if name.rpartition("/")[2].endswith(_SHARES) else number(value, 3)


def interval(name: str, bounds: Mapping[str, float] | list[float] | tuple[float, ...] | None) -> str:
    """Return a 95 % interval in the metric's unit, or an empty text if there is none."""
    if not isinstance(bounds, list | tuple) or len(bounds) != 2 or not all(_finite(bound) for bound in bounds):
        return ""
    low, high = bounds
    if name.rpartition("/")[2].endswith(_SHARES):
        return f"{low * 100:.1f}–{high * 100:.1f} %"
    return f"{number(low)} to {number(high)}"
