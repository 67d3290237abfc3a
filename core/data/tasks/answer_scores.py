"""Exact match and F1 of answers, as SQuAD and (for Chinese) CMRC 2018 define them. Plain Python.

What counts as equal is part of the measure: upper case, punctuation, articles and white space do not count in English;
in Chinese the characters are compared, punctuation does not count.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["answer_tokens", "exact", "gold_of", "normalised", "overlap_f1", "score_answer"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
#: The signs that CMRC 2018 leaves out.
_CHINESE_SIGNS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHINESE = re.compile(r"[\u4e00-\u9fa5]")
_RUN = re.compile(r"\w+|[^\w\s]")


def normalised(text: str, language: str = "en") -> str:
    """Return the form in which two answers are compared.

    Parameters
    ----------
    text
        An answer.
    language
        ``en``: lower case, without ASCII punctuation, without the words a, an, the, with single spaces
        (Rajpurkar et al. 2016, section 6.1). ``zh``: lower case, without the signs that CMRC 2018 leaves out
        (Cui et al. 2019).
    """
    lower = text.lower()
    if language == "zh":
        return "".join(sign for sign in lower.strip() if sign not in _CHINESE_SIGNS)
    return " ".join(_ARTICLES.sub(" ", lower.translate(_PUNCTUATION)).split())


def answer_tokens(text: str, language: str = "en") -> list[str]:
    """Return the tokens over which F1 is counted: words, or in Chinese single characters.

    What is not Chinese within a Chinese answer (names in Latin letters, numbers) falls into runs of letters and digits,
    and single other signs.
    """
    if language != "zh":
        return normalised(text).split()
    found: list[str] = []
    run = ""
    for sign in text.lower().strip():
        if sign in _CHINESE_SIGNS:
            continue
        if _CHINESE.match(sign):
            found += [*_RUN.findall(run), sign]
            run = ""
        else:
            run += sign
    return found + _RUN.findall(run)


def exact(gold: str, answer: str, language: str = "en") -> float:
    """Return 1.0 if two answers are the same in their normal form, else 0.0."""
    return float(normalised(gold, language) == normalised(answer, language))


def overlap_f1(gold: Sequence[str], answer: Sequence[str], language: str = "en", *, no_answer: bool = True) -> float:
    """Return the F1 of two token lists.

    Parameters
    ----------
    gold, answer
        As :func:`answer_tokens` gives them.
    language
        ``en``: tokens in common, in any order. ``zh``: the longest run of tokens in common, as CMRC 2018 counts.
    no_answer
        Whether a list without tokens is an answer (SQuAD 2.0): two of them are then equal. SQuAD 1.1 gives 0.
    """
    if no_answer and not (gold and answer):
        return float(not gold and not answer)
    common = _longest_run(gold, answer) if language == "zh" else sum((Counter(gold) & Counter(answer)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(answer), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest stretch of tokens that stands in both."""
    best = 0
    row = [0] * (len(other) + 1)
    for token in one:
        before = row
        row = [0] * (len(other) + 1)
        for at, match in enumerate(other, 1):
            if token == match:
                row[at] = before[at - 1] + 1
                best = max(best, row[at])
    return best


def gold_of(answers: Sequence[str], language: str = "en", *, no_answer: bool = False) -> list[str]:
    """Return the gold answers that a prediction is compared with.

    With questions that may have no answer those without anything in their normal form do not count, and a question that
    keeps none has the empty answer (the rule of SQuAD 2.0). Without, all count as they are.
    """
    if not no_answer:
        return list(answers)
    return [answer for answer in answers if normalised(answer, language)] or [""]


def score_answer(
    answer: str, answers: Sequence[str], language: str = "en", *, no_answer: bool = False
) -> tuple[float, float]:
    """Return exact match and F1 of an answer: for each the best over the gold answers.

    Parameters
    ----------
    answer
        What was predicted; empty for "no answer".
    answers
        The gold answers; none for a question without an answer.
    language
        ``en`` or ``zh``, see :func:`normalised`.
    no_answer
        Whether questions may have no answer.

    References
    ----------
    Rajpurkar, Zhang, Lopyrev & Liang (2016), SQuAD: 100,000+ Questions for Machine Comprehension of Text, section 6.1.
    Rajpurkar, Jia & Liang (2018), Know What You Don't Know: Unanswerable Questions for SQuAD.
    Cui et al. (2019), A Span-Extraction Dataset for Chinese Machine Reading Comprehension, section 4.1.
    """
    gold = gold_of(answers, language, no_answer=no_answer)
    if not gold:
        return 0.0, 0.0
    given = answer_tokens(answer, language)
    return (
        max(exact(one, answer, language) for one in gold),
        max(overlap_f1(answer_tokens(one, language), given, language, no_answer=no_answer) for one in gold),
    )
