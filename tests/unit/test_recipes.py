"""Recipes have the terms of their papers, for every task and size, and say what they leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import plan_from_yaml, plan_to_yaml
from core.config.distillation import DistillationConfig
from core.config.recipes import Recipe, example, recipe, recipes
from core.config.templates import templates
from core.errors import ConfigError

ALL = recipes()


def named(one: Recipe) -> str:
    return one.name


def learnt(name: str, **others: object) -> list[DistillationConfig]:
    """Return what each stage learns, with a teacher of 12 layers of 768 unless told otherwise."""
    one = recipe(name)
    assert one is not None
    return [stage.distil for stage in one.plan(teacher="T", **others).stages if stage.distil is not None]  # type: ignore[arg-type]


def test_names_and_titles_are_their_own() -> None:
    names = [*(one.name for one in ALL), *(one.name for one in templates())]
    titles = [*(one.title for one in ALL), *(one.title for one in templates())]
    assert len(set(names)) == len(set(titles)) == len(names)
    assert recipe("nothing") is None


@pytest.mark.parametrize("one", ALL, ids=named)
@pytest.mark.parametrize("task", ["classification", "tagging", "question_answering", "dependency"])
@pytest.mark.parametrize(("layers", "keep"), [(2, None), (6, 3), (12, 12), (3, 1)])
def test_it_makes_a_plan_that_the_file_format_keeps(one: Recipe, task: str, layers: int, keep: int | None) -> None:
    plan = one.plan("reviews", task, teacher="runs/T", layers=layers, keep_layers=keep)
    assert plan_from_yaml(plan_to_yaml(plan)) == plan
    assert plan.model.source == "runs/T"
    assert all(stage.distil is not None and stage.distil.teachers[0].source == "runs/T" for stage in plan.stages)


@pytest.mark.parametrize("one", ALL, ids=named)
def test_the_ready_plan_of_the_docs_is_the_recipe(one: Recipe) -> None:
    text = (Path(__file__).parents[2] / "docs" / "plans" / f"{one.name}.yaml").read_text(encoding="utf-8")
    assert text == example(one), "run python -m core.config.recipes"
    assert plan_from_yaml(text) == one.plan(teacher="runs/TEACHER", layers=6, width=384)


def test_distilbert_weighs_answers_gold_and_cosine_as_its_authors_do() -> None:
    """5 : 2 : 1 at temperature 2, the cosine of the last hidden states (Sanh et al. 2019)."""
    (one,) = learnt("distilbert")
    (cosine,) = one.states
    assert one.temperature == 2
    assert one.alpha / (1 - one.alpha) == pytest.approx(5 / 2, rel=1e-3)
    assert one.alpha / cosine.weight == pytest.approx(5, rel=1e-3)
    assert (cosine.kind, cosine.distance, cosine.layers, cosine.positions) == ("hidden", "cosine", "last", "all")


def test_pkd_compares_normalised_first_positions_of_all_layers_but_the_last() -> None:
    """(1 − α) CE + α DS + β PT with α, T and β of the paper's grid (Sun et al. 2019); β/width: see the recipe."""
    (one,) = learnt("pkd")
    (patient,) = one.states
    assert one.alpha in (0.2, 0.5, 0.7)
    assert one.temperature in (5, 10, 20)
    assert round(patient.weight * 768) in (10, 100, 500, 1000)
    assert (patient.kind, patient.distance, patient.layers, patient.positions) == (
        "hidden", "normalised", "skip", "first",
    )  # fmt: skip
    plan = ALL[2].plan(teacher="T", layers=12, keep_layers=6)
    assert plan.model.keep_layers == [1, 2, 3, 4, 5, 6]
    (tags,) = learnt("pkd", task="tagging")
    assert tags.states[0].positions == "all"


def test_tinybert_learns_layers_without_answers_then_answers_alone() -> None:
    """Σ over embedding (λ 1), and hidden and attention of each layer (λ 1), then CE at t = 1 (Jiao et al. 2020)."""
    layers, answers = learnt("tinybert", layers=12, keep_layers=4)
    assert layers.answers == 0
    assert [(one.kind, one.distance, one.weight) for one in layers.states] == [
        ("embedding", "mse", 1.0), ("hidden", "mse", 4.0), ("attention", "mse", 4.0),
    ]  # fmt: skip
    assert all(one.layers == "uniform" and one.map == "auto" for one in layers.states)
    assert (answers.answers, answers.alpha, answers.temperature, answers.states) == (1, 1, 1, [])


def test_minilmv2_learns_relations_of_the_last_layer_with_48_heads_where_they_fit() -> None:
    """Q-Q, K-K and V-V of the last layer, 48 relation heads for BERT-base (Wang et al. 2021)."""
    relations, answers = learnt("minilmv2")
    assert relations.answers == 0
    (one,) = relations.states
    assert (one.kind, one.layers, one.weight, one.heads) == ("relation", "last", 1.0, 48)
    assert answers.states == []
    odd, _ = learnt("minilmv2", model="small", student=(4, 312))
    assert odd.states[0].heads is None


def test_ours_weighs_differences() -> None:
    (one,) = learnt("weigh-differences")
    assert (one.differences, one.harmful, one.states) == (0.5, "keep", [])


def test_without_a_teacher_it_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="learns from a teacher") as caught:
        ALL[0].plan(teacher=" ")
    assert caught.value.where == "--teacher"


def test_a_student_of_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are 6"):
        ALL[0].plan(teacher="T", layers=6, keep_layers=7)
