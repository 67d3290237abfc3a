"""Telling the language of a text from its script and its function words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

__all__ = ["UNKNOWN", "guess_language"]

#: ISO 639-2 for "undetermined".
UNKNOWN = "und"

# Only words that are frequent in English and rare elsewhere: "in", "is", "was", "an", "me" … are words of others too.
_ENGLISH_WORDS = """
the and of to that with for this are from have has had not you your his her she they them their which who what
it's don't it been were would could should than then there these those when where while will about into just
because but if or by as at
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def guess_language(texts: Iterable[str]) -> tuple[str, str]:
    """Guess the language of texts.

    Chinese characters without Japanese kana beside them speak for Chinese, English function words for English; any
    other language is not guessed at.

    Returns
    -------
    language, reason
        ``zh``, ``en`` or ``und``, and what spoke for it, as a part of a sentence.
    """
    scripts: Counter[str] = Counter()
    words = function = 0
    for text in texts:
        for char in text:
            if char.isascii():
                scripts["latin"] += char.isalpha()
            elif unicodedata.category(char)[0] == "L":
                scripts[_script(char)] += 1
        found = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
        words += len(found)
        function += sum(word in _ENGLISH for word in found)
    letters = max(1, scripts.total())
    chinese = scripts["han"] / letters
    if chinese > 0.3 and scripts["kana"] < 0.1 * scripts["han"] and scripts["hangul"] < 0.1 * scripts["han"]:
        return "zh", f"{chinese:.0%} of the letters are Chinese characters"
    share = function / max(1, words)
    if scripts["latin"] > 0.7 * letters and (share >= 0.12 or (words < 60 and share >= 0.05)):
        return "en", f"{share:.0%} of the words are English function words"
    return UNKNOWN, (
        f"{share:.0%} of the words are English function words" if words else "there are no letters to tell it from"
    )


def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    if name.startswith("CJK"):
        return "han"
    if name.startswith(("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA")):
        return "kana"
    return "hangul" if name.startswith("HANGUL") else "latin" if "LATIN" in name else "other"
