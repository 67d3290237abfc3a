"""Scores of answers against an independent statement of the rules of SQuAD 1.1, SQuAD 2.0 and CMRC 2018."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.data.tasks.answer_scores import answer_tokens, normalised, score_answer

ASCII_SIGNS = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def words_of(text: str) -> list[str]:
    """SQuAD's rule once more, character by character: signs go, then words that are articles, then split."""
    kept = [sign for sign in text.lower() if sign not in ASCII_SIGNS]
    # An article is a, an or the between two places that are no letters, digits or marks of words.
    out, run = [], []
    for sign in [*kept, None]:
        if sign is not None and (sign.isalnum() or sign == "_"):
            run.append(sign)
            continue
        if "".join(run) not in ("a", "an", "the"):
            out += run
        else:
            out.append(" ")
        run = []
        if sign is not None:
            out.append(sign)
    return "".join(out).split()


def by_hand(answer: str, golds: list[str], version: int) -> tuple[float, float]:
    """Score by matching tokens off against one another."""
    if version == 2:
        golds = [gold for gold in golds if words_of(gold)] or [""]
    ems, f1s = [], []
    for gold in golds:
        want, have = words_of(gold), words_of(answer)
        ems.append(1.0 if want == have else 0.0)
        rest, hits = list(want), 0
        for word in have:
            if word in rest:
                rest.remove(word)
                hits += 1
        if version == 2 and (not want or not have):
            f1s.append(1.0 if want == have else 0.0)
        else:
            f1s.append(2 * hits / (len(want) + len(have)) if hits else 0.0)
    return max(ems), max(f1s)


PIECES = st.sampled_from(
    ["the", "The", "a", "An", "cat", "Cat's", "U.S.", "naïve", "Straße", "ÉCOLE", "1,000", "“quoted”", "the-cat", "—",
     "_", "a_b", "", " ", "\t", "\u00a0", "—the—", "İ", "x", "\u200b", "…", "theory", "an.", "$5", "5$", "A", "ſ"]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(PIECES, max_size=5).flatmap(lambda parts: st.sampled_from([" ".join(parts), "".join(parts)])),
    st.text(alphabet="aAnThe .,'-_éßI\u0130\u00a05", max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from([1, 2]))
@example("the", ["The", "a"], 1)
@example("", ["The"], 2)
@example("the", [""], 2)
@example("the the cat", ["cat the"], 1)
@example("cat cat", ["cat"], 1)
@example("", ["a an the .,"], 1)
def test_scores_are_those_of_squad(answer: str, golds: list[str], version: int) -> None:
    found = score_answer(answer, golds, no_answer=version == 2)
    assert found == pytest.approx(by_hand(answer, golds, version))


@pytest.mark.parametrize(
    ("answer", "golds", "no_answer", "expected"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], False, (1.0, 1.0)),
        ("Eiffel", ["the Eiffel Tower", "Paris"], False, (0.0, 2 / 3)),
        ("in Paris, France", ["Paris", "Paris France"], False, (0.0, 0.8)),
        ("", [], True, (1.0, 1.0)),
        ("Paris", [], True, (0.0, 0.0)),
        ("", ["Paris"], True, (0.0, 0.0)),
        ("the", [], True, (1.0, 1.0)),  # nothing is left of it
        ("‘Paris’", ["Paris"], False, (0.0, 0.0)),  # only ASCII signs are left out
        ("a b c", ["a b c"], False, (1.0, 1.0)),  # "a" is an article here too
    ],
)
def test_cases_worked_out_by_hand(
    answer: str, golds: list[str], no_answer: bool, expected: tuple[float, float]
) -> None:
    assert score_answer(answer, golds, no_answer=no_answer) == pytest.approx(expected)


def test_the_two_rules_differ_only_where_nothing_is_left() -> None:
    assert score_answer("the", ["The"], no_answer=False) == (1.0, 0.0)  # as the script of version 1.1 has it
    assert score_answer("the", ["The"], no_answer=True) == (1.0, 1.0)
    assert score_answer("x", [], no_answer=False) == (0.0, 0.0)


# -- Chinese ---------------------------------------------------------------------------------------------------------

SIGNS = "，。：？！；《》、（）-·"


def chinese_by_hand(answer: str, golds: list[str]) -> tuple[float, float]:
    """CMRC's rule for answers of Chinese characters only: every stretch of one is looked for in the other."""
    ems, f1s = [], []
    for gold in golds:
        want, have = ("".join(sign for sign in text.strip() if sign not in SIGNS) for text in (gold, answer))
        ems.append(float(want == have))
        pieces = {want[a:b] for a, b in itertools.combinations(range(len(want) + 1), 2)}
        run = max((len(piece) for piece in pieces if piece in have), default=0)
        f1s.append(2 * run / (len(want) + len(have)) if run else 0.0)
    return max(ems), max(f1s)


CHINESE = st.text(alphabet="北京上海的人" + SIGNS, max_size=8)


@settings(max_examples=200, deadline=None)
@given(CHINESE, st.lists(CHINESE, min_size=1, max_size=3))
def test_chinese_is_compared_by_characters(answer: str, golds: list[str]) -> None:
    assert score_answer(answer, golds, "zh") == pytest.approx(chinese_by_hand(answer, golds))


def test_chinese_answers_may_hold_latin_words() -> None:
    assert answer_tokens("NBA总冠军，2012年 FMVP!", "zh") == ["nba", "总", "冠", "军", "2012", "年", "fmvp", "!"]
    assert normalised("《红楼梦》 NBA", "zh") == "红楼梦 nba"
    assert score_answer("北京大学", ["北京的大学"], "zh")[1] == pytest.approx(4 / 9)  # the run 北京 or 大学


def test_normal_forms_do_not_compose_letters() -> None:
    # SQuAD's rule knows no Unicode normal forms: a text is not changed behind the person's back.
    assert score_answer(unicodedata.normalize("NFD", "café"), ["café"])[0] == 0.0
