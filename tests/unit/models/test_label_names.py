"""Labels of a trained model under the names of other data."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from core.models.label_names import renamed_labels, suggested_names


def test_labels_are_renamed_and_kinds_of_tags_with_both_their_marks() -> None:
    assert renamed_labels(["positive", "neg"], {"positive": "pos"}, where="x") == ["pos", "neg"]
    tags = ["O", "B-PER", "I-PER", "B-LOC"]
    assert renamed_labels(tags, {"PER": "person", "B-LOC": "B-place"}, where="x") == [
        "O", "B-person", "I-person", "B-place",
    ]  # fmt: skip
    assert renamed_labels(["a", "b"], {"a": "b", "b": "a"}, where="x") == ["b", "a"]


@pytest.mark.parametrize(
    ("names", "told"), [({"good": "x"}, "no label 'good'"), ({"a": "b"}, "Two labels of the teacher become 'b'")]
)
def test_names_that_cannot_be_are_refused(names: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        renamed_labels(["a", "b"], names, where="stages.0.distil.teachers.0.labels")
    assert caught.value.where == "stages.0.distil.teachers.0.labels"


@pytest.mark.parametrize(
    ("labels", "wanted", "expected"),
    [
        (["Positive", "negative"], ["neg", "pos"], {"Positive": "pos", "negative": "neg"}),
        (["O", "B-PER", "I-PER"], ["O", "B-person", "I-person"], {"PER": "person"}),
        (["so_so", "good"], ["so so", "good"], {"so_so": "so so"}),
        (["fresh", "stale"], ["fresh", "rotten"], {}),
        (["a", "b"], ["A"], {}),
        (["post", "pos"], ["positive", "posture"], {}),  # both may be either
    ],
)
def test_names_are_offered_only_where_they_are_plain(
    labels: list[str], wanted: list[str], expected: dict[str, str]
) -> None:
    assert suggested_names(labels, wanted) == expected
