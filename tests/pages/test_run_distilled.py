"""The page of a distilled student: what training brought, where its layers come from, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config.distil import DistilConfig
from core.settings import Home
from pages.ui import keys
from pages.ui.run_distilled import layer_rows, loading_lines
from tests.pages.test_run_page import button, finished, home, metrics, opened, words  # noqa: F401
from tests.tiny import tiny_encoder

CONFIG = DistilConfig.model_validate(
    {"name": "narrow", "shape": {"layers": [{"width": 16, "heads": 2, "intermediate": 32}], "embedding": 32}}
)
LAYER = {
    "layer": 1, "width": 16, "heads": 2, "intermediate": 32, "parent": 2, "reaches": 3, "basis": "pca",
    "explained": 0.91, "head_report": {"copied": 2, "pruned": 2, "initialised": 0},
    "units": {"copied": 32, "pruned": 32, "initialised": 0}, "before": 0.5, "after": 0.25,
}  # fmt: skip
FOUND: dict[str, Any] = {
    "before": 0.8, "after": 0.4, "steps": 300, "parameters": {"parent": 22_713_216, "student": 17_396_736},
    "body": {"parent": 10_646_784, "student": 5_330_304}, "layers": [LAYER], "initialised": ["pooler"],
    "parent": "/models/*bold*",
}  # fmt: skip


def shown(home: Home, **changes: Any) -> Any:  # noqa: F811
    results = {"distil": {**FOUND, **changes}, "notices": ["Two thousand of more sentences."]}
    return opened(finished(home, CONFIG, {"held/after": 0.4, "held/before": 0.8}, results))


def test_it_says_what_training_brought_and_what_the_student_costs(home: Home) -> None:  # noqa: F811
    test = shown(home)
    assert "its distance fell by 50" in words(test)
    found = metrics(test)
    assert (found["Before training"], found["After"]) == ("0.800", "0.400")
    assert found["Parameters"] == "17,396,736"
    assert "50.1 % of the parent's 10,646,784" in words(test)
    assert "Not inherited but initialised: pooler." in words(test)
    assert "Two thousand of more sentences." in words(test)
    assert any(r"\*bold\*" in item.value for item in test.markdown)  # a name is text


def test_a_student_that_was_not_trained_or_got_no_nearer_is_told_so(home: Home) -> None:  # noqa: F811
    assert "was not trained" in words(shown(home, steps=0, after=0.8))


def test_training_that_brought_nothing_comes_with_advice(home: Home) -> None:  # noqa: F811
    assert "did not bring the student nearer" in words(shown(home, after=0.9))


@pytest.mark.parametrize("kept", [True, False])
def test_the_student_can_be_trained_as_long_as_its_weights_are_there(home: Home, kept: bool) -> None:  # noqa: F811
    run = finished(home, CONFIG, {"held/after": 0.4}, {"distil": FOUND})
    if kept:
        tiny_encoder(Path(home.root) / "runs" / run / "best")
    test = opened(run)
    assert button(test, keys.PRIMARY).label == "Train it"
    assert button(test, keys.PRIMARY).disabled is not kept


def test_a_layer_says_what_it_took_over_and_what_it_is_worth() -> None:
    (row,) = layer_rows(FOUND)
    assert row["weights from"] == "layer 2"
    assert row["stands for"] == "layer 3"
    assert row["heads: copied, pruned, new"] == "2, 2, 0"
    assert (row["error before"], row["error after"]) == ("0.500", "0.250")


def test_a_layer_of_a_student_that_inherited_nothing_says_only_what_is_known() -> None:
    given = {name: LAYER[name] for name in ("layer", "width", "heads", "intermediate", "parent", "reaches", "after")}
    (row,) = layer_rows({"layers": [given]})
    assert "error before" not in row
    assert row["error after"] == "0.250"


def test_a_shaped_student_is_loaded_after_its_class_is_registered() -> None:
    assert "register()" in loading_lines("folder", shaped=True)
    assert "register" not in loading_lines("folder", shaped=False)
    compile(loading_lines("fol'der", shaped=True), "card", "exec")
