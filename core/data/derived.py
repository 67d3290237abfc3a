"""Questions derived from the bundled samples: names in a sentence, names left out of a sentence. No person asked them.

Entity questions ask for the names of one type in a tagged sentence; some ask for a type that is not there. Cloze
questions leave a name out of one sentence of a text and ask for it; the rest of the text is the context (as Hermann et
al. 2015, Teaching Machines to Read and Comprehend, made them of news). The questions are easier than people's: they
show that everything works, and how methods compare, not how good a model is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.data.readers.base import RawRow
from core.data.tasks.words import spans

__all__ = ["COLUMNS", "cloze_questions", "entity_questions", "names_in"]

COLUMNS = ("id", "question", "context", "answers", "start", "is_impossible")
#: What stands in a cloze question for the name that is asked for.
BLANK = "_____"
_MOST_CLOZE = 3
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z])")
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b")

_QUESTIONS: dict[str, dict[str, str]] = {
    "en": {
        "person": "Which person is named?", "geo-loc": "Which place is named?", "company": "Which company is named?",
        "facility": "Which building or site is named?", "product": "Which product is named?",
        "musicartist": "Which musician or band is named?", "sportsteam": "Which sports team is named?",
        "tvshow": "Which television show is named?", "movie": "Which film is named?",
    },
    "zh": {"PER": "文中提到了哪个人？", "LOC": "文中提到了哪个地方？", "ORG": "文中提到了哪个机构？"},
}  # fmt: skip


def entity_questions(
    rows: Iterable[tuple[int, Sequence[str], Sequence[str]]],
    language: str,
    *,
    joint: str,
    asking: Mapping[str, str] | None = None,
) -> Iterator[RawRow]:
    """Ask for the names of each type that a sentence has, and in every second such sentence for a type that it lacks.

    Parameters
    ----------
    rows
        (number, words, IOB2 tags) of each sentence.
    language
        ``en`` or ``zh``: of the questions, which also says which types are asked for.
    joint
        What stands between words: a space, or nothing.
    asking
        Entity type to its question; None: those of the bundled samples.

    Yields
    ------
    RawRow
        Columns :data:`COLUMNS`. All names of the type are right answers, in the order of their places. An id is the
        sentence's number and the type.
    """
    questions = asking or _QUESTIONS[language]
    number = sentences = 0
    for row, words, tags in rows:
        starts = [0]
        for word in words:
            starts.append(starts[-1] + len(word) + len(joint))
        context = joint.join(words)
        named: dict[str, list[tuple[str, int]]] = {}
        for kind, first, last in spans(tags):
            text = context[starts[first] : starts[last] + len(words[last])]
            if kind in questions:
                named.setdefault(kind, []).append((text, starts[first]))
        if not named:
            continue
        sentences += 1
        asked = [(kind, named[kind]) for kind in questions if kind in named]
        absent = [kind for kind in questions if kind not in named]
        if absent and sentences % 2 == 0:
            asked.append((absent[sentences // 2 % len(absent)], []))
        for kind, answers in asked:
            number += 1
            yield RawRow(number, 0, _row(f"{row}-{kind}", questions[kind], context, answers))


def _row(name: str, question: str, context: str, answers: Sequence[tuple[str, int]]) -> dict[str, Any]:
    return {
        "id": name, "question": question, "context": context, "answers": [text for text, _ in answers],
        "start": [start for _, start in answers], "is_impossible": not answers,
    }  # fmt: skip


def names_in(sentence: str) -> list[str]:
    """Return the capitalised words of an English sentence that do not begin it, neighbours joined, each once."""
    begin = next((at for at, sign in enumerate(sentence) if sign.isalpha()), 0)
    return list(dict.fromkeys(match.group() for match in _NAME.finditer(sentence) if match.start() > begin))


def cloze_questions(texts: Iterable[tuple[int, str]]) -> Iterator[RawRow]:
    """Leave out a name of a sentence that the rest of its text holds too; at most three questions a text.

    The sentences that are asked about are left out of the text together, so that its questions share one context.

    Parameters
    ----------
    texts
        (number, English text).

    Yields
    ------
    RawRow
        Columns :data:`COLUMNS`; the answer's first place in the rest of the text is its start.
    """
    number = 0
    for row, text in texts:
        sentences = _SENTENCE.split(" ".join(text.split()))
        small = set(re.findall(r"\b[a-z]+\b", text))
        left_out: dict[int, re.Pattern[str]] = {}
        asked: dict[int, str] = {}
        for place, sentence in enumerate(sentences):
            for name in names_in(sentence):
                # A word that is also written small is no name, only the beginning of a title or a quotation.
                if name.lower() in small:
                    continue
                whole = re.compile(rf"\b{re.escape(name)}\b")
                rest = _without(sentences, {*left_out, place})
                if whole.search(rest) and all(other.search(rest) for other in left_out.values()):
                    left_out[place], asked[place] = whole, name
                    break
            if len(asked) == _MOST_CLOZE:
                break
        context = _without(sentences, set(left_out))
        for place, name in asked.items():
            number += 1
            match = left_out[place].search(context)
            question = left_out[place].sub(BLANK, sentences[place])
            yield RawRow(
                number, 0, _row(f"{row}-{place + 1}", question, context, [(name, match.start() if match else 0)])
            )


def _without(sentences: Sequence[str], places: set[int]) -> str:
    return " ".join(sentence for place, sentence in enumerate(sentences) if place not in places)
