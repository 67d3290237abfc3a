"""Question answering as a task: features, loss, answers over windows, "no answer", scores, and the loss of torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from core.config import TaskConfig
from core.data.tasks import task_for
from core.data.tasks.heads import head_logits
from core.data.tasks.question_answering import QuestionAnswering
from core.data.tasks.question_details import question_word
from core.data.tasks.tagging import IGNORED
from core.errors import DataError
from tests.tiny import WORDS

CONTEXT = "Anna Philadelphia lives in Paris. Paul went to London, and ran."


def asker(**settings: Any) -> QuestionAnswering:
    task = task_for(TaskConfig(kind="question_answering", **settings), ["start", "end"])
    assert isinstance(task, QuestionAnswering)
    return task


def rows(*entries: tuple[str, str, list[str]]) -> Dataset:
    """Give (question, context, answers) as standard rows; the first place of an answer is its start."""
    return Dataset.from_list(
        [
            {
                "row": number, "source": "file", "id": f"q{number}", "question": question, "context": context,
                "answers": answers, "starts": [context.find(answer) for answer in answers],
            }
            for number, (question, context, answers) in enumerate(entries, 1)
        ]
    )  # fmt: skip


def certain(found: Any, *, nothing: float = 0.0) -> list[np.ndarray]:
    """Return logits that answer the gold of every window; `nothing` is what "no answer" scores elsewhere."""
    logits = []
    for feature, length in zip(found.features, found.lengths, strict=True):
        part = np.zeros((length, 2))
        part[feature["empty"]] = nothing
        start, end = feature["labels"]
        part[start, 0] = part[end, 1] = 9.0
        part[1] = 99.0  # the question's pieces have no say
        logits.append(part)
    return logits


def test_other_outputs_are_refused() -> None:
    with pytest.raises(DataError, match="start, end"):
        task_for(TaskConfig(kind="question_answering"), ["a", "b"])


# -- features ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2"])
def test_the_gold_holds_the_answer(tokenizer: Callable[[str], Any], family: str) -> None:
    one = tokenizer(family)
    found = asker().encode(rows(("who went?", CONTEXT, ["Paul"]), ("where?", CONTEXT, ["Paris", "in Paris"])), one, 96)
    assert (found.owner, found.cut, found.lost) == ([0, 1], 0, 0)
    for feature, answer in zip(found.features, ("Paul", "Paris"), strict=True):
        start, end = feature["labels"]
        begin, last = feature["starts"][start - feature["first"]], feature["ends"][end - feature["first"]]
        assert CONTEXT[begin:last].strip() == answer
        assert feature["input_ids"][feature["empty"]] == one.cls_token_id
    assert found.features[0]["input_ids"] == one("who went?", CONTEXT)["input_ids"]


def test_windows_without_the_answer_point_to_cls_and_a_lost_answer_to_nothing(tokenizer: Callable[[str], Any]) -> None:
    long = " ".join(WORDS[index % 40] for index in range(200))
    wide = " ".join(long.split()[20:90])
    given = rows(("who", long + " acme", ["acme"]), ("who", long, [wide]), ("who " * 50, long, []))
    found = asker(no_answer=True, stride=8).encode(given, tokenizer("bert"), 48)
    by_row: dict[int, list[list[int]]] = {}
    for feature, owner in zip(found.features, found.owner, strict=True):
        by_row.setdefault(owner, []).append(feature["labels"])
    assert by_row[0][:-1] == [[0, 0]] * (len(by_row[0]) - 1)
    assert by_row[0][-1][0] == by_row[0][-1][1] > 0
    assert set(map(tuple, by_row[1])) == {(-1, -1)}
    assert set(map(tuple, by_row[2])) == {(0, 0)}
    assert (found.lost, found.cut) == (1, 1)
    assert max(found.lengths) <= 48
    batch = asker().collate([found.features[0], *found.features[-2:]], tokenizer("bert"))
    assert batch["labels"].shape == (3, 48, 2)
    lost = next(feature for feature in found.features if feature["labels"] == [-1, -1])
    assert bool((asker().collate([lost], tokenizer("bert"))["labels"] == IGNORED).all())


# -- loss --------------------------------------------------------------------------------------------------------------


def batch_of(tokenizer: Any) -> tuple[QuestionAnswering, dict[str, torch.Tensor], list[dict[str, Any]]]:
    task = asker(no_answer=True)
    given = rows(("who went?", CONTEXT, ["Paul"]), ("who?", "Anna ran.", []), ("a cat?", "the cat sat", ["the cat"]))
    found = task.encode(given, tokenizer, 96)
    return task, task.collate(found.features, tokenizer), found.features


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_cross_entropy_over_the_positions_that_could_be_right(
    tokenizer: Callable[[str], Any], smoothing: float
) -> None:
    task, batch, features = batch_of(tokenizer("bert"))
    torch.manual_seed(0)
    logits = torch.randn(*batch["input_ids"].shape, 2, dtype=torch.float32, requires_grad=True)
    total, weight = task.loss(logits, batch["labels"], label_smoothing=smoothing)
    expected = []
    for row, feature in enumerate(features):
        places = [feature["empty"], *range(feature["first"], feature["first"] + len(feature["starts"]))]
        for side in (0, 1):
            gold = torch.tensor([places.index(feature["labels"][side])])
            loss = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
            expected.append(loss(logits[row, places, side][None], gold))
    assert float(weight) == 6
    torch.testing.assert_close(total / weight, torch.stack(expected).mean())
    total.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert float(logits.grad[:, 1].abs().sum()) == 0.0  # a piece of the question


def test_start_and_end_may_weigh_differently_and_lost_windows_weigh_nothing(tokenizer: Callable[[str], Any]) -> None:
    task, batch, features = batch_of(tokenizer("bert"))
    torch.manual_seed(1)
    logits = torch.randn(*batch["input_ids"].shape, 2)
    labels = batch["labels"]
    start, _ = task.loss(logits, labels, class_weights=torch.tensor([1.0, 0.0]))
    end, weight = task.loss(logits, labels, class_weights=torch.tensor([0.0, 1.0]))
    both, _ = task.loss(logits, labels)
    torch.testing.assert_close(start + end, both)
    assert float(weight) == 3
    features[2]["labels"] = [-1, -1]
    fewer, weight = task.loss(logits, task.collate(features, tokenizer("bert"))["labels"])
    assert float(weight) == 4
    torch.testing.assert_close(fewer, task.loss(logits[:2], labels[:2])[0])
    assert [float(one) for one in task.loss(logits[:1], torch.full_like(labels[:1], IGNORED))] == [0.0, 0.0]
    found = task.encode(rows(("who?", CONTEXT, ["Paul"])), tokenizer("bert"), 96)
    assert task.label_counts(found) == [1, 1]


def test_starts_and_ends_are_two_classes_of_every_position() -> None:
    from transformers.modeling_outputs import QuestionAnsweringModelOutput, TokenClassifierOutput

    start, end = torch.randn(2, 5), torch.randn(2, 5)
    found = head_logits(QuestionAnsweringModelOutput(start_logits=start, end_logits=end))
    assert torch.equal(found[..., 0], start)
    assert torch.equal(found[..., 1], end)
    assert head_logits(TokenClassifierOutput(logits=start)) is start


# -- answers -----------------------------------------------------------------------------------------------------------


def test_answers_come_from_the_window_that_is_surest(tokenizer: Callable[[str], Any]) -> None:
    long = " ".join(WORDS[index % 40] for index in range(150))
    given = rows(("who", long + " acme inc", ["acme inc"]), ("what", "the cat", ["cat"]))
    task = asker(stride=8, best_answers=3)
    found = task.encode(given, tokenizer("bert"), 48)
    predictions = task.decode(certain(found), found, given)
    assert [prediction.label for prediction in predictions] == ["acme inc", "cat"]
    best = predictions[0].answers
    assert best is not None
    assert len(best) == 3
    assert (best[0]["text"], best[0]["start"], best[0]["end"]) == ("acme inc", len(long) + 1, len(long) + 9)
    assert sum(one["score"] for one in best) == pytest.approx(1.0)
    assert best[0]["score"] == predictions[0].scores > best[1]["score"]
    assert predictions[0].context == given[0]["context"]
    told = task.evaluate(certain(found), found, given, details=True)
    assert (told.metrics["f1"], told.metrics["em"]) == (1.0, 1.0)
    assert told.details["worst"] == []
    assert told.details["windows"] == len(found.features)
    json.dumps([prediction.as_dict() for prediction in predictions])


def test_answers_are_no_longer_than_the_plan_says(tokenizer: Callable[[str], Any]) -> None:
    given = rows(("what", "the cat and the dog", ["the cat and the dog"]))
    for longest, answer in ((5, "the cat and the dog"), (1, "the")):
        task = asker(longest_answer=longest)
        found = task.encode(given, tokenizer("bert"), 48)
        assert task.decode(certain(found), found, given)[0].label == answer


def test_a_context_without_any_piece_has_no_answer(tokenizer: Callable[[str], Any]) -> None:
    given = rows(("what", "\u200b", []))
    for no_answer in (False, True):
        task = asker(no_answer=no_answer)
        found = task.encode(given, tokenizer("bert"), 48)
        logits = [np.zeros((length, 2)) for length in found.lengths]
        (prediction,) = task.decode(logits, found, given)
        assert prediction.label == ""
        assert task.evaluate(logits, found, given, details=True).details["n"] == 1


def test_the_threshold_is_chosen_on_rows_and_kept(tokenizer: Callable[[str], Any]) -> None:
    given = rows(("who", "Anna ran", ["Anna"]), ("who", "Paul ran", ["Paul"]), ("who", "the cat", []))
    task = asker(no_answer=True)
    found = task.encode(given, tokenizer("bert"), 48)
    logits = certain(found)
    # "No answer" scores far too high everywhere: without a threshold nothing would be answered.
    for index, (feature, size) in enumerate(zip(found.features, (24.0, 26.0, 30.0), strict=True)):
        logits[index][feature["empty"]] = size / 2
    assert task.evaluate(logits, found, given).metrics["em"] == pytest.approx(1 / 3)
    task.calibrate(logits, found, given)
    threshold = task.config.no_answer_threshold
    assert threshold is not None
    assert 26 - 18 <= threshold < 30 - 0
    told = task.evaluate(logits, found, given, details=True)
    assert told.metrics["em"] == 1.0
    assert told.details["threshold"] == threshold
    assert [one.label for one in task.decode(logits, found, given)] == ["Anna", "Paul", ""]
    assert {entry["value"] for entry in told.details["breakdown"] if entry["by"] == "answer"} == {
        "no answer", "has an answer",
    }  # fmt: skip
    fixed = asker(no_answer=True, no_answer_threshold=1.5)
    fixed.calibrate(logits, found, given)
    assert fixed.config.no_answer_threshold == 1.5
    assert asker().config.no_answer_threshold is None


def test_scores_take_the_best_of_several_answers(tokenizer: Callable[[str], Any]) -> None:
    given = rows(("where?", CONTEXT, ["Paris"]), ("who went?", CONTEXT, ["Paul"]))
    task = asker()
    found = task.encode(given, tokenizer("bert"), 96)
    logits = certain(found)
    more = given.remove_columns(["answers", "starts"]).add_column("answers", [["Rome", "in Paris"], ["Paul went"]])
    more = more.add_column("starts", [[-1, 24], [34]])
    told = task.evaluate(logits, found, more, details=True)
    assert told.metrics["em"] == 0.0
    assert told.metrics["f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    worst = told.details["worst"]
    assert [one["row"] for one in worst] in ([1, 2], [2, 1])
    assert {one["gold"] for one in worst} == {"Rome / in Paris", "Paul went"}
    assert all(one["predicted"] in ("Paris", "Paul") and one["f1"] == pytest.approx(2 / 3) for one in worst)
    assert bytes.fromhex(told.details["documents"]["bits"]) == bytes(1)
    assert told.details["documents"]["f1"] == pytest.approx([2 / 3, 2 / 3], abs=1e-6)
    low, high = told.details["intervals"]["f1"]
    assert low == pytest.approx(2 / 3)
    assert high == pytest.approx(2 / 3)
    assert json.loads(json.dumps(told.details, allow_nan=False)) == told.details


def test_what_a_method_without_a_model_reaches() -> None:
    train = rows(("who ran?", "Anna ran", ["Anna"]), ("who sat?", "Paul sat", ["Paul"]))
    test = rows(("who lives there?", "Anna lives there", ["Anna"]), ("who?", "a dog", ["cat"]))
    assert asker().baseline(train, test) == {"f1": 0.5, "em": 0.5}
    silent = rows(("who ran?", "Anna ran", ["Anna"]), ("who?", "Paul", []), ("who?", "a cat", []))
    assert asker(no_answer=True).baseline(silent, rows(("who?", "Anna", []), ("who?", "Paul", ["Paul"])))["em"] == 0.5


@pytest.mark.parametrize(
    ("question", "language", "word"),
    [
        ("Whose cat?", "en", "who"),
        ("In which year", "en", "which"),
        ("How many?", "en", "how many"),
        ("What is who", "en", "what"),
        ("Name it", "en", "other"),
        ("show me", "en", "other"),
        ("为什么是他？", "zh", "为什么"),
        ("他是谁", "zh", "谁"),
        ("有多少人", "zh", "多少"),
        ("名字", "zh", "other"),
    ],
)
def test_questions_are_grouped_by_their_word(question: str, language: str, word: str) -> None:
    assert question_word(question, language) == word
