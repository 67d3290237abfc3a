"""Scores by hand, in the conventions of CoNLL 2018, and losses as torch computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.config import TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded
from core.errors import DataError
from core.models.prediction import ListRows

LABELS = ["det", "nmod", "nmod:poss", "nsubj", "punct", "root"]
WORDS = ["Her", "dog", "ran", "."]
GOLD, RELATIONS = [2, 3, 0, 3], ["nmod:poss", "nsubj", "root", "punct"]


def task(**settings: Any) -> Any:
    config = TaskConfig.model_validate({"kind": "dependency", **settings})
    return task_for(config, LABELS if config.relations else ["none", "word"])


def rows(words: list[list[str]], heads: list[list[int]], relations: list[list[str]] | None = None) -> ListRows:
    named = (
        [[LABELS.index(name) if name in LABELS else -1 for name in one] for one in relations]
        if relations
        else [[int(head > 0) for head in one] for one in heads]
    )
    return ListRows({"tokens": words, "heads": heads, "relations": named})


def said(heads: list[int], relations: list[str] | None = None, *, high: float = 8.0) -> np.ndarray:
    """Logits of a model that is sure of these heads and relations; others all alike."""
    words = len(heads)
    found = np.zeros((words, 1 + words + (len(LABELS) if relations else 0)))
    found[np.arange(words), heads] = high
    for word, name in enumerate(relations or []):
        found[word, 1 + words + LABELS.index(name)] = high
    return found


def encoded(words: list[list[str]]) -> Encoded:
    features = [
        {"input_ids": [0] * len(one), "places": np.arange(len(one)), "words": np.arange(len(one)),
         "own": np.ones(len(one), dtype=bool)}
        for one in words
    ]  # fmt: skip
    return Encoded(features, [len(one) for one in words], list(range(len(words))))


def scored(found: Any, words: list[list[str]], gold: ListRows, logits: list[np.ndarray], **more: Any) -> Any:
    return found.evaluate(logits, encoded(words), gold, **more)


def test_attachment_with_labels_leaves_subtypes_aside_and_counts_punctuation() -> None:
    gold = rows([WORDS], [GOLD], [RELATIONS])
    # "Her": right head, nmod instead of nmod:poss, which CoNLL 2018 does not tell apart; "dog": wrong relation;
    # ".": wrong head.
    logits = [said([2, 3, 0, 2], ["nmod", "det", "root", "punct"])]
    found = scored(task(), [WORDS], gold, logits).metrics
    assert found["uas"] == pytest.approx(3 / 4)
    assert found["las"] == pytest.approx(2 / 4)
    assert found["pointer_accuracy"] == pytest.approx(3 / 4)
    assert found["tree_share"] == 1.0
    assert set(found) == set(task().metric_names)
    bare = scored(task(score_punctuation=False), [WORDS], gold, logits).metrics
    assert (bare["uas"], bare["las"]) == pytest.approx((1.0, 2 / 3))


def test_scores_are_over_words_of_all_sentences_and_unknown_relations_are_never_right() -> None:
    words = [WORDS, ["dog"]]
    gold = rows(words, [GOLD, [0]], [RELATIONS, ["unseen"]])
    logits = [said(GOLD, RELATIONS), said([0], ["root"])]
    found = scored(task(), words, gold, logits, details=True)
    assert (found.metrics["uas"], found.metrics["las"]) == pytest.approx((1.0, 4 / 5))
    assert found.details["words"] == 5
    assert found.details["documents"] == {"score": "f1", "counts": [[4, 4, 4], [0, 1, 1]]}
    table = {(one["by"], one["value"]): one for one in found.details["arcs"]}
    assert table["relation", "unknown in training"]["labelled"] == 0.0
    assert table["relation", "nmod:poss"]["support"] == 1
    assert table["distance to the head", "root"]["support"] == 2
    assert table["length of the sentence", "1–5"]["heads"] == 1.0
    assert [one["row"] for one in found.details["worst"]] == [2]
    assert found.details["worst"][0]["gold_relations"] == ["?"]


def test_pointers_before_decoding_are_told_from_the_tree() -> None:
    """Two words that point to one another: the tree has to break the circle, and the pointers stay as they were."""
    logits = said([2, 1, 0, 3], RELATIONS)
    logits[1, 3] = 7.0
    found = scored(task(), [WORDS], rows([WORDS], [GOLD], [RELATIONS]), [logits]).metrics
    assert found["tree_share"] == 0.0
    assert found["pointer_accuracy"] == pytest.approx(3 / 4)
    assert found["uas"] == 1.0


def test_pointers_without_trees_are_scored_with_those_to_none() -> None:
    gold = rows([WORDS], [[0, 3, 0, 4]])
    found = scored(task(tree=False, relations=False), [WORDS], gold, [said([0, 0, 3, 4])]).metrics
    assert found["pointer_accuracy"] == pytest.approx(2 / 4)
    assert (found["null_precision"], found["null_recall"]) == pytest.approx((1 / 2, 1 / 2))
    assert set(found) == {"pointer_accuracy", "null_precision", "null_recall", "loss"}


def test_intervals_are_over_sentences() -> None:
    words = [["dog", "ran"]] * 40
    gold = rows(words, [[2, 0]] * 40, [["nsubj", "root"]] * 40)
    logits = [said([2, 0] if at % 4 else [0, 1], ["nsubj", "root"]) for at in range(40)]
    found = scored(task(), words, gold, logits, details=True)
    low, high = found.details["intervals"]["uas"]
    # each sentence is right or wrong as a whole: 30 of 40, so the spread is that of 40 draws, not of 80
    assert found.metrics["uas"] == pytest.approx(0.75)
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 40) ** 0.5, abs=0.04)
    assert scored(task(), words, gold, logits, details=True).details["intervals"] == found.details["intervals"]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_sum_of_both_cross_entropies(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    words, batch = 4, 2
    logits = torch.randn(batch, words, 1 + words + len(LABELS), generator=generator)
    labels = torch.tensor([[[2, 1], [0, 5], [-100, -100], [3, -100]], [[1, 0], [-100, -100], [4, 3], [0, 2]]])
    total, weight = task().loss(logits, labels, label_smoothing=smoothing)
    flat, gold = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1, 2)
    options: dict[str, Any] = {"ignore_index": -100, "reduction": "sum", "label_smoothing": smoothing}
    wanted = functional.cross_entropy(flat[:, : 1 + words], gold[:, 0], **options)
    wanted += functional.cross_entropy(flat[:, 1 + words :], gold[:, 1], **options)
    torch.testing.assert_close(total, wanted)
    assert weight == 6
    heavy = torch.ones(len(LABELS))
    heavy[5] = 3.0  # the root's relation
    more, weights = task().loss(logits, labels, label_smoothing=smoothing, class_weights=heavy)
    assert weights == 8
    one, _ = task().loss(logits[:1, 1:2], labels[:1, 1:2], label_smoothing=smoothing)
    if not smoothing:  # the one word with this relation counts three times
        alone = functional.cross_entropy(flat[1:2, : 1 + words], gold[1:2, 0])
        alone += functional.cross_entropy(flat[1:2, 1 + words :], gold[1:2, 1])
        torch.testing.assert_close(more, total + 2 * alone)
    assert torch.isfinite(one)


def test_settings_of_the_pointer_reach_head_and_loss() -> None:
    bare = task(pointer={"memory": False, "relative": False, "size": 8, "type_weight": 2.0})
    assert bare.model_kwargs()["pointers"] == {
        "kind": "dependency", "relations": len(LABELS), "itself": False, "size": 8, "reach": None, "memory": False,
    }  # fmt: skip
    assert task(tree=False, pointer={"reach": 5}).model_kwargs()["pointers"]["reach"] == 5
    logits = torch.randn(1, 2, 3 + len(LABELS), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[2, 1], [0, 5]]])
    relations = functional.cross_entropy(logits[0, :, 3:], labels[0, :, 1], reduction="sum")
    torch.testing.assert_close(bare.loss(logits, labels)[0], task().loss(logits, labels)[0] + relations)


def test_smoothing_passes_over_what_cannot_be() -> None:
    lowest = torch.finfo(torch.float32).min
    logits = torch.tensor([[[1.0, lowest, 2.0], [0.5, 1.5, lowest]]])
    labels = torch.tensor([[[2, 0], [1, 0]]])
    total, _ = task(relations=False).loss(logits, labels, label_smoothing=0.1)
    rows_ = [torch.tensor([1.0, 2.0]), torch.tensor([0.5, 1.5])]
    wanted = sum(functional.cross_entropy(row[None], torch.tensor([1]), label_smoothing=0.1) for row in rows_)
    torch.testing.assert_close(total, wanted)


def test_the_baseline_hangs_words_on_their_neighbours() -> None:
    train = rows([["a", "dog", "ran"]], [[2, 3, 0]], [["det", "nsubj", "root"]])
    test = rows([["a", "dog"], ["new"]], [[2, 0], [0]], [["det", "root"], ["root"]])
    found = task().baseline(train, test)
    # to the right, the last word is the root; "a" is det, "dog" nsubj, and a new word gets the first most frequent
    assert found == pytest.approx({"uas": 1.0, "las": 1 / 3})
    loose = task(tree=False, relations=False)
    assert loose.baseline(rows([["a", "b"]], [[0, 0]]), rows([["a"]], [[0]]))["null_recall"] == 1.0


@pytest.mark.parametrize(
    ("settings", "labels", "message"),
    [
        ({}, [], "no relation"),
        ({}, ["a", "a"], "named twice: a"),
        ({"relations": False}, ["a", "b"], "where relations are not learnt"),
    ],
)
def test_labels_that_do_not_fit_are_refused(settings: dict[str, Any], labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        task_for(TaskConfig.model_validate({"kind": "dependency", **settings}), labels)


def test_padding_never_counts(make_head: Callable[..., Any]) -> None:
    """A sentence has the same scores alone as beside a longer one, and nothing points to padding."""
    head = make_head(relations=3)
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    valid = torch.tensor([[True] * 5, [True, True, False, False, False]])
    both, alone = head(states, valid), head(states[1:, :2], valid[1:, :2])
    torch.testing.assert_close(both[1, :2, :3], alone[0, :, :3])
    torch.testing.assert_close(both[1, :2, 6:], alone[0, :, 3:])
    shares = both[1, :2, :6].softmax(-1)
    assert (shares[:, 3:] == 0).all()
    assert (shares[[0, 1], [1, 2]] == 0).all()  # no word is its own head
    assert (shares[:, 0] > 0).all()  # the root always can be
    loud = states.clone()
    loud[1, 2:] = 1e4
    torch.testing.assert_close(head(loud, valid)[1, :2], both[1, :2])


@pytest.fixture
def make_head() -> Callable[..., Any]:
    from core.models.pointer.dependency import DependencyHead

    def build(relations: int = 0, **options: Any) -> Any:
        torch.manual_seed(0)
        return DependencyHead(8, relations, itself=False, size=4, reach=2, dropout=0.0, **options).eval()

    return build


def test_relations_read_what_the_pointer_reads(make_head: Callable[..., Any]) -> None:
    states = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    valid = torch.ones(1, 3, dtype=torch.bool)
    with_memory = make_head(relations=2)
    found = with_memory(states, valid)
    assert found.shape == (1, 3, 1 + 3 + 2)
    shares = found[..., :4].softmax(-1)
    read = with_memory.memory(shares, states)
    wanted = with_memory.relation(torch.cat([states, read], dim=-1))
    torch.testing.assert_close(found[..., 4:], wanted)
    (seen,) = torch.autograd.grad(found[0, 0, 4:].sum(), states, retain_graph=True)
    assert seen[0, 1].abs().sum() > 0
    bare = make_head(relations=2, memory=False)
    assert bare.memory is None
    (alone,) = torch.autograd.grad(bare(states, valid)[0, 0, 4:].sum(), states)
    assert alone[0, 1].abs().sum() == 0
