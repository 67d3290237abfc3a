"""Each step on rows that can be followed by hand, and what the record says of it."""

from __future__ import annotations

import numpy as np
import pytest

from core.config.derive import derive_config
from core.data.derive import Derived, derive
from core.data.derive.rows import hash_of
from core.data.derive.run import ranges
from core.data.derive.sentences import central, lexrank, sentences_of_text, sentences_of_words
from core.errors import ConfigError, DataError
from tests.unit.derive.conftest import TAGGED, labelled


def made(source: str, *steps: str, **sets: object) -> Derived:
    return derive(derive_config(source, None, steps, [f"{key}={value}" for key, value in sets.items()]))


def values(done: Derived) -> list[dict]:
    return [item.values for item in done.items]


def test_titles_stand_in_a_column_or_in_the_first_line(lines) -> None:
    file = lines([{"text": "long", "title": " One "}, {"text": "longer", "title": ""}, {"text": "x", "title": "Two"}])
    done = made(file, "titles")
    assert [(item.number, item.values) for item in done.items] == [(1, {"text": "One"}), (3, {"text": "Two"})]
    assert done.steps[-1]["dropped"] == {
        "no_title": {
            "count": 1, "rows": "2", "examples": [{"row": 2, "line": 2, "detail": "column 'title' is empty"}],
        }
    }  # fmt: skip
    plain = lines([{"text": "\n First line \nrest", "label": "a"}, {"text": "one line", "label": "b"}], "plain.jsonl")
    assert values(made(plain, "titles")) == [{"text": "First line", "label": "a"}]
    with pytest.raises(DataError, match="'film'") as caught:
        made(plain, "titles: {column: film}")
    assert "steps.0.titles" in str(caught.value.where)


def test_a_summary_is_the_first_sentences(lines) -> None:
    file = lines(
        [
            {"text": 'It rained. "Go!" She went. Later, 3.5 m fell.', "label": "a"},
            {"text": "你好。再见！", "label": "b"},
        ]
    )
    assert values(made(file, "summaries")) == [{"text": "It rained.", "label": "a"}, {"text": "你好。", "label": "b"}]
    assert values(made(file, "summaries: {sentences: 2}"))[0]["text"] == 'It rained. "Go!"'
    assert values(made(file, "summaries: {sentences: 9}"))[0]["text"].endswith("3.5 m fell.")


def test_sentences_end_at_stops_but_not_in_names() -> None:
    assert sentences_of_text("One. two. Three?  Four") == ["One. two.", "Three?", "Four"]
    words = ["St", ".", "Louis", "won", "!", '"', "Yes"]
    tags = ["B-loc", "I-loc", "I-loc", "O", "O", "O", "O"]
    assert sentences_of_words(words, tags) == [(0, 6), (6, 7)]


def test_a_tagged_sentence_keeps_its_tags(lines) -> None:
    third = values(made(lines(TAGGED), "summaries"))[2]
    assert third == {"tokens": ["Rain", "fell", "."], "tags": ["O", "O", "O"]}


def test_lexrank_is_the_walk_s_stationary_distribution() -> None:
    bags = [sentence.split() for sentence in ("the cat sat", "the cat sat on the mat", "dogs bark", "a cat and a mat")]
    vocabulary = sorted({word for bag in bags for word in bag})
    counts = np.array([[bag.count(word) for word in vocabulary] for bag in bags], dtype=float)
    idf = np.log((1 + len(bags)) / (1 + (counts > 0).sum(axis=0))) + 1
    vectors = counts * idf
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = vectors @ vectors.T
    walk = 0.15 / len(bags) + 0.85 * cosine / cosine.sum(axis=1, keepdims=True)
    eigenvalues, vectors = np.linalg.eig(walk.T)
    stationary = np.real(vectors[:, np.argmax(np.real(eigenvalues))])
    assert lexrank(bags) == pytest.approx((stationary / stationary.sum()).tolist(), abs=1e-8)
    assert central(bags, 1) == [1]
    assert central([["a"], ["b"], ["c"]], 2) == [0, 1]  # equal ones: the earlier


def test_the_most_central_sentence_of_a_text(lines) -> None:
    hub = "Red cars, blue boats and green trees met."
    file = lines([{"text": f"Red apples fell. {hub} Blue skies shone. Green grass grew.", "label": "x"}])
    assert values(made(file, "summaries: {method: central}")) == [{"text": hub, "label": "x"}]


def test_questions_keep_the_row_that_they_were_made_of(lines) -> None:
    done = made(lines(TAGGED), "entity_questions")
    assert [(item.number, item.values["id"], item.values["answers"]) for item in done.items] == [
        (1, "1-person", ["Anna Berg"]), (1, "1-geo-loc", ["Oslo"]), (3, "3-person", ["Paul"]),
        (3, "3-company", []), (4, "4-geo-loc", ["Rome"]),
    ]  # fmt: skip
    assert done.items[0].values["context"] == "Anna Berg left Oslo ."
    assert hash_of("Anna Berg left Oslo .") in done.items[0].hashes
    assert done.steps[-1]["dropped"]["no_name"]["rows"] == "2"
    assert (done.steps[-1]["before"], done.steps[-1]["after"]) == (4, 5)
    own = made(lines(TAGGED), "entity_questions: {questions: {geo-loc: 'Where?'}}")
    assert [item.values["question"] for item in own.items] == ["Where?", "Where?"]


def test_gaps_are_asked_of_texts(lines) -> None:
    text = "A man named Simon lives in Rome. One day Simon leaves. He is Simon. All know Simon."
    done = made(lines([{"text": "nothing"}, {"text": text}]), "cloze_questions")
    assert {item.number for item in done.items} == {2}
    assert done.items[0].values["id"] == "2-1"
    assert done.items[0].hashes == (hash_of(text),)
    assert done.steps[-1]["dropped"]["no_gap"]["rows"] == "1"


def test_a_sentence_is_labelled_by_its_entities(lines) -> None:
    done = made(lines(TAGGED), "sentence_label: {entity: person, present: person, absent: none}")
    assert done.form == "classification"
    assert [row["label"] for row in values(done)] == ["person", "none", "person", "none"]
    assert values(done)[0] == {**TAGGED[0], "text": "Anna Berg left Oslo .", "label": "person"}
    with pytest.raises(DataError, match="'product'") as caught:
        made(lines(TAGGED), "sentence_label: {entity: product}")
    assert "geo-loc, person" in str(caught.value.expected)


def test_labels_are_renamed_joined_and_left_out(lines) -> None:
    rows = [{"text": f"t{label}", "label": label} for label in "abcd"]
    done = made(lines(rows), "relabel: {mapping: {a: x, b: x, c: null, q: z}}")
    assert [row["label"] for row in values(done)] == ["x", "x", "d"]
    assert done.steps[-1]["dropped"]["relabelled"]["examples"] == [{"row": 3, "line": 3, "detail": "label 'c'"}]
    assert done.steps[-1]["notes"] == ["No row has the label 'q'."]
    assert [row["label"] for row in values(made(lines(rows), "relabel: {mapping: {a: x}, others: drop}"))] == ["x"]
    tagged = made(lines(TAGGED), "relabel: {mapping: {person: PER, geo-loc: null}}")
    assert values(tagged)[0]["tags"] == ["B-PER", "I-PER", "O", "O", "O"]
    several = lines([{"text": "t", "label": ["a", "b", "c"]}], "several.jsonl")
    found = made(several, "relabel: {mapping: {a: x, b: x, c: null}}", multi_label="true")
    assert values(found) == [{"text": "t", "labels": ["x"]}]


@pytest.mark.parametrize(
    ("settings", "kept", "reason"),
    [
        ("{min_words: 5}", [1, 3], "min_words"),
        ("{max_words: 4}", [2, 4], "max_words"),
        ("{min_characters: 22}", [3], "min_characters"),
        ("{labels: [person]}", [1, 3], "labels"),
        ("{not_labels: [geo-loc]}", [2, 3], "not_labels"),
        ("{pattern: 'o\\w'}", [2, 4], "pattern"),
        ("{not_pattern: rain, ignore_case: true}", [1, 2, 4], "not_pattern"),
        ("{min_words: 4, max_words: 5, labels: [geo-loc]}", [1, 4], "min_words"),
    ],
)
def test_a_filter_keeps_rows_that_meet_every_condition(lines, settings: str, kept: list[int], reason: str) -> None:
    done = made(lines(TAGGED), f"filter: {settings}")
    assert [item.number for item in done.items] == kept
    assert reason in done.steps[-1]["dropped"]


def test_a_sample_keeps_the_labels_shares_and_a_part_leaves_a_rest(lines) -> None:
    file = lines(labelled(40))
    done = made(file, "sample: {rows: 10}")
    assert sorted(row["label"] for row in values(done)) == ["bad"] * 5 + ["good"] * 5
    assert [item.number for item in done.items] == sorted(item.number for item in done.items)
    assert {item.number for item in made(file, "sample: {rows: 10}", seed=1).items} != {i.number for i in done.items}
    part = made(file, **{"part.share": 0.25})
    assert (len(part.items), len(part.left)) == (10, 30)
    assert {item.number for item in part.items} | {item.number for item in part.left} == set(range(1, 41))
    assert [item.number for item in made(file, **{"part.first": 3, "part.last": 5}).items] == [3, 4, 5]


def test_equal_texts_stay_in_one_part(lines) -> None:
    done = made(lines([*labelled(20), *labelled(20)]), **{"part.share": 0.5})
    assert not {item.hashes for item in done.items} & {item.hashes for item in done.left}


def test_steps_that_do_not_suit_the_rows_are_refused(lines) -> None:
    with pytest.raises(DataError, match="entity_questions cannot follow here: the rows are labelled texts"):
        made(lines(labelled(3)), "entity_questions")
    with pytest.raises(DataError, match="rows are questions") as caught:
        made(lines(TAGGED), "entity_questions", "summaries")
    assert "steps.1.summaries" in str(caught.value.where)


def test_an_empty_result_is_refused_and_says_which_step(lines) -> None:
    with pytest.raises(DataError, match=r"No row is left after step 2 \(filter\): of 4 rows none stays") as caught:
        made(lines(TAGGED), "summaries", "filter: {min_words: 100}")
    assert "min_words: 4" in caught.value.what


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: tweets\nsteps:\n  - sampel: {rows: 3}\n", "steps.0 (line 3): there is no step 'sampel'"),
        ("steps:\n  - filter:\n      min_words: 4\n      min_wrods: 5\n", "steps.0.filter.min_wrods (line 4): unknown"),
        ("- summaries\n- filter: {min_words: none}\n", "steps.1.filter.min_words (line 2)"),
        ("- filter: {pattern: '('}\n", "this is no regular expression"),
        ("- filter: {}\n", "a filter needs at least one condition"),
        ("- sample: {rows: 3, share: 0.5}\n", "either rows or share"),
        ("part: {share: 0.5, first: 3}\n", "either a share, or rows"),
        ("- {sample: {rows: 3}, summaries: {}}\n", "a step has one name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_steps_is_told_with_its_line(tmp_path, text: str, said: str) -> None:
    file = tmp_path / "steps.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        derive_config("tweets", str(file))
    assert said in caught.value.what
    assert caught.value.where == str(file)


def test_steps_of_the_command_line_follow_those_of_the_file(tmp_path) -> None:
    file = tmp_path / "steps.yaml"
    file.write_text("source: plots\nseed: 3\nsteps:\n  - summaries\n")
    config = derive_config("reviews", str(file), ["sample: {rows: 5}"], ["steps.0.summaries.method=central"])
    assert (config.source, config.seed, [step.name for step in config.steps]) == ("reviews", 3, ["summaries", "sample"])
    assert config.steps[0].summaries is not None
    assert config.steps[0].summaries.method == "central"


def test_row_numbers_are_told_in_short() -> None:
    assert ranges([9, 1, 2, 3, 7, 2, 10]) == "1-3 7 9-10"
