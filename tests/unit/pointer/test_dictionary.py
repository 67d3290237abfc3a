"""A dictionary as targets of pointers: scores, memory, gold and back, on tiny encoders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config import TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.data.tasks.pointer_decoding import ENTRY, NOWHERE, pointed_entities, pointers_of
from core.data.tasks.pointer_dictionary import plain_name
from core.data.tasks.pointer_view import pointer_views, watched_entries
from core.data.tasks.tagging import WordWindow
from core.data.tasks.words import spans
from core.errors import DataError
from core.models.pointer.entries import entry_vectors
from core.models.pointer.heads import WordPointer
from core.models.pointer.scorer import pointer_shares
from core.models.prediction import ListRows

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
GAZETTEER = [("new york", "LOC"), ("Paris", "LOC"), ("paris", "PER")]
WORDS = ["new", "york", "Paris", "anna"]
tag_lists = st.lists(st.sampled_from(LABELS), min_size=1, max_size=10)


def tagger(dictionary: str = "labels", **pointer: Any) -> Any:
    if dictionary == "gazetteer":
        pointer.setdefault("entries", GAZETTEER)
    settings = {"dictionary": dictionary, **pointer}
    return task_for(TaskConfig.model_validate({"kind": "tagging", "head": "pointer", "pointer": settings}), LABELS)


def head(**more: Any) -> WordPointer:
    torch.manual_seed(0)
    return WordPointer(8, {"size": 4, "reach": 2, "memory": True, "types": 2, "dropout": 0.0, **more}).eval()


def test_without_a_dictionary_nothing_is_different() -> None:
    plain, named = head(), head(dictionary=[["loc", "LOC"], ["per", "PER"]])
    assert set(named.state_dict()) - set(plain.state_dict()) == {"scorer.offset"}
    assert "dictionary" not in tagger("none").model_kwargs()["pointers"]
    hidden, words = torch.randn(2, 5, 8), torch.tensor([[0, 2, 4], [1, 3, -1]])
    named.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(plain(hidden, words=words), named(hidden, words=words))


def test_shares_and_memory_are_those_of_a_plain_loop() -> None:
    torch.manual_seed(1)
    model = head(dictionary=[["a", "LOC"]] * 3)
    assert model.memory is not None
    torch.nn.init.constant_(model.scorer.offset, 0.7)
    states, entries = torch.randn(2, 4, 8), torch.randn(3, 8)
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    scores = model.scorer(states, valid, entries)
    shares = pointer_shares(scores)
    assert shares.shape == (2, 4, 1 + 4 + 3)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 4))
    assert bool((shares[1, :, 3:5] == 0).all())  # padding
    read = model.memory(shares, states, entries)
    for row, word in ((0, 2), (1, 1)):
        values = [model.memory.null, *map(model.memory.value, states[row]), *map(model.memory.value, entries)]
        wanted = sum(share * value for share, value in zip(shares[row, word], values, strict=True))
        torch.testing.assert_close(read[row, word], wanted)
        query, own = model.scorer.query(states[row, word]), model.scorer
        plain = [(query @ own.key(one)) / 2 + own.bias(one)[0] + 0.7 for one in entries]
        torch.testing.assert_close(scores[row, word, 5:], torch.stack(plain))


def test_an_entry_is_the_mean_of_its_own_pieces() -> None:
    hidden = torch.arange(2 * 5 * 1, dtype=torch.float32).reshape(2, 5, 1)
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])  # [CLS] a b [SEP] and [CLS] c [SEP]
    assert entry_vectors(hidden, mask, (1, 1)).tolist() == [[1.5], [6.0]]


@given(tag_lists, st.lists(st.sampled_from(WORDS), min_size=10, max_size=10), st.sampled_from(["labels", "gazetteer"]))
@settings(deadline=None, max_examples=30)
def test_gold_and_back(tags: list[str], words: list[str], dictionary: str) -> None:
    task = tagger(dictionary)
    tokens = words[: len(tags)]
    pointers = task.pointers(tags, tokens)
    entities = spans(tags)
    assert pointed_entities(pointers) == [(first, last) for _, first, last in entities]
    for kind, first, last in entities:
        said = " ".join(tokens[first : last + 1]).casefold()
        places = [at for at, (text, own) in enumerate(GAZETTEER) if (text.casefold(), own) == (said, kind)]
        if dictionary == "labels":
            places = [task.types.index(kind)]
        assert pointers[first] == (ENTRY - places[0] if places else first)
        assert (pointers[first + 1 : last + 1] == first).all()
    assert (pointers == NOWHERE).sum() == len(tags) - sum(last + 1 - first for _, first, last in entities)

    ids = np.array([LABELS.index(tag) for tag in tags])
    encoded = Encoded([], [len(tags) + 2], [0])
    own = np.ones(len(tags), dtype=bool)
    every = np.arange(len(tags), dtype=np.int32)
    window = WordWindow([0] * (len(tags) + 2), every + 1, every, own, ids, tokens=tokens)
    encoded.features.append(task._feature(window, encoded))
    (feature,), count, more = encoded.features, len(tags), len(task.dictionary)
    logits = np.zeros((count, 1 + count + more + 2))
    logits[np.arange(count), feature["labels"][:, 0]] = 50.0
    logits[:, 1 + count + more :] = -50.0 * (np.arange(2) != np.maximum(feature["labels"][:, 1:2], 0))
    rows = ListRows({"tokens": [tokens], "tags": [ids.tolist()]})
    metrics = task.evaluate([logits], encoded, rows).metrics
    assert metrics["pointer_accuracy"] == 1.0
    assert metrics["loss"] == pytest.approx(0.0, abs=1e-9)
    (answer,) = task.decode([logits], encoded, rows)
    assert spans(answer.label) == entities
    padded = 3  # in a batch with a longer sentence entries stand further behind
    wide = np.insert(logits, [1 + count] * padded, -1e30, axis=1)
    other = {**feature, "places": np.arange(1, count + padded + 1), "labels": np.zeros((count + padded, 3), dtype=int)}
    other["input_ids"] = [0] * (count + padded + 2)
    batch = task.collate([feature, other], type("Padder", (), {"pad_token_id": 0}))
    wide = np.concatenate([wide, np.zeros((padded, wide.shape[1]))])
    total, _ = task.loss(torch.from_numpy(wide)[None], batch["labels"][:1])
    assert float(total) == pytest.approx(0.0, abs=1e-6)
    assert np.array_equal(cut_logits(wide, feature, 0), logits)


def test_an_entry_says_the_type_whatever_the_type_head_says() -> None:
    task = tagger("labels")
    rows = ListRows({"tokens": [["anna", "york"]]})
    feature = {"places": [1, 2], "words": np.arange(2), "own": np.ones(2, dtype=bool), "entries": 2}
    logits = np.zeros((2, 1 + 2 + 2 + 2))
    logits[0, 4] = 9.0  # the entry of PER
    logits[1, 2] = 9.0  # itself
    logits[:, 5] = 20.0  # LOC, says the type head
    (answer,) = task.decode([logits], Encoded([feature], [4], [0]), rows)
    assert answer.label == ["B-PER", "B-LOC"]
    assert answer.pointers == [{"entry": "per", "type": "PER", "number": 1}, 1]


def test_pointing_to_entries_has_scores_of_its_own() -> None:
    task = tagger("gazetteer")
    tokens = ["Paris", "likes", "new", "york", "and", "Paris", "anna"]
    tags = ["B-PER", "O", "B-LOC", "I-LOC", "O", "B-LOC", "B-PER"]
    ids = np.array([LABELS.index(tag) for tag in tags])
    every = np.arange(7, dtype=np.int32)
    encoded = Encoded([], [9], [0])
    window = WordWindow([0] * 9, every + 1, every, np.ones(7, dtype=bool), ids, tokens=tokens)
    encoded.features.append(task._feature(window, encoded))
    # Right; the slot instead of an entry; an entry of the dictionary where there is no entity; itself, as nobody lists
    # anna. The second Paris points to the entry of the other type.
    columns = [1 + 7 + 2, 0, 0, 3, 1 + 7 + 0, 1 + 7 + 2, 7]
    logits = np.zeros((7, 1 + 7 + 3 + 2))
    logits[np.arange(7), columns] = 50.0
    rows = ListRows({"tokens": [tokens], "tags": [ids.tolist()]})
    found = task.evaluate([logits], encoded, rows, details=True)
    assert set(found.metrics) == set(task.metric_names)
    wanted = {"entry_precision": 1 / 3, "entry_recall": 1 / 3, "pointer_accuracy": 4 / 7, "null_recall": 1 / 2}
    assert {name: found.metrics[name] for name in wanted} == pytest.approx(wanted)
    assert {"entry_precision", "entry_recall"} <= set(found.details["intervals"])
    assert not {"entry_precision", "entry_recall"} & set(tagger("none").metric_names)


def test_of_a_large_dictionary_the_entries_of_a_sentence_are_followed() -> None:
    listed = [*GAZETTEER, *((f"place {number}", "LOC") for number in range(30)), ("old york", "LOC")]
    task = tagger("gazetteer", entries=listed)
    tags = ["O", "B-LOC", "I-LOC", "O"]
    row = {"tokens": ["in", "new", "york", "place"], "tags": [LABELS.index(tag) for tag in tags]}
    assert watched_entries(task, row) == [0, *range(3, 14)]  # its own first, then as many as there is room for
    feature = {"places": [1], "words": np.arange(1), "own": np.ones(1, dtype=bool), "entries": len(listed)}
    logits = np.zeros((1, 1 + 1 + len(listed) + 2))
    logits[0, 2 + 33] = 9.0
    rows = ListRows({"tokens": [["york"]]})
    for keep, numbers, answer in (([[0, 5]], [0, 5], 4), (None, [33], 2)):
        (view,) = pointer_views(task, [logits], Encoded([feature], [3], [0]), rows, [None], keep)
        assert view["entries"] == {"numbers": numbers, "left": len(listed) - len(numbers)}
        assert view["pointed"] == [answer]  # with the others where it has no column of its own
        assert sum(view["shares"][0]) == pytest.approx(1.0)
        assert np.argmax(view["shares"][0]) == answer


def test_names_of_types() -> None:
    assert plain_name("creative-work") == "creative work"
    task = tagger("labels", entries=[("person", "PER")])
    assert [(one.text, one.kind) for one in task.dictionary.entries] == [("loc", "LOC"), ("person", "PER")]
    with pytest.raises(DataError, match="both called 'LOC'"):
        tagger("labels", entries=[("LOC", "PER")])
    with pytest.raises(DataError, match="two names"):
        tagger("labels", entries=[("one", "PER"), ("two", "PER")])
    assert pointers_of(["B-PER", "I-PER"]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"kind": "tagging", "pointer": {"dictionary": "gazetteer"}}, "a gazetteer needs a file"),
        ({"kind": "tagging", "pointer": {"gazetteer": "a.csv"}}, "needs task.pointer.dictionary gazetteer"),
        ({"kind": "tagging", "pointer": {"kind": "global", "dictionary": "labels"}}, "point to nothing"),
        ({"kind": "question_answering", "pointer": {"dictionary": "labels"}}, "is for tagging"),
    ],
)
def test_settings_that_mean_nothing_are_refused(task: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TaskConfig.model_validate({"head": "pointer", **task})
