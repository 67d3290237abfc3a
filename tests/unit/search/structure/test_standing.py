"""Who enters, who goes on, and what the front weighs: pure decisions on invented candidates."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.config.shape import EncoderShape
from core.search.structure.records import Candidate, Rung, SearchRecord
from core.search.structure.standing import entrants, goes_on, quotas, standing

SHAPE = EncoderShape.of_widths([32], head_size=8, vocabulary=10).model_dump(mode="json")


def candidate(key: str, **values: Any) -> Candidate:
    given = {"depth": 4, "source": "prior", "parameters": 1000, "flops": 100, **values}
    loss, trained = given.pop("rank_loss", None), given.pop("loss", None)
    one = Candidate(
        key, int(key), given["source"], "", given["depth"], [32], [64], SHAPE, [(0, 0)], given["parameters"], 2000,
        given["flops"], rank_loss=loss,
    )  # fmt: skip
    if trained is not None:
        one.rungs = [Rung(0, 10, 1.0, trained, 1.0)]
    one.score = given.get("score")
    return one


def record(objectives: list[str]) -> SearchRecord:
    reference = {"parameters": 2200.0, "flops": 220.0, "loss": 2.0, "score": 1.0, "latency": 10.0}
    return SearchRecord("k", {}, {"parameters": 1000}, 5, "prior", {}, objectives, reference)


def test_places_are_even_over_depths_and_the_deeper_get_what_is_left() -> None:
    assert quotas([3, 4, 5], 9) == {3: 3, 4: 3, 5: 3}
    assert quotas([3, 4, 5], 10) == {5: 4, 4: 3, 3: 3}
    assert sum(quotas([2, 6], 1).values()) == 1


def test_losses_of_different_depths_are_not_compared_before_training() -> None:
    ones = [candidate(str(at), depth=3, rank_loss=0.9 + at / 100) for at in range(3)]
    ones += [candidate(str(at), depth=6, rank_loss=0.1 + at / 100) for at in range(3, 6)]
    keys, even = entrants(ones, 4)
    assert sorted(keys) == ["0", "1", "3", "4"]
    assert even == []


def test_even_shapes_enter_beside_the_best_of_each_depth() -> None:
    ones = [
        candidate("0", rank_loss=0.5),
        candidate("1", rank_loss=0.9, source="uniform"),
        candidate("2", rank_loss=0.6),
    ]
    assert entrants(ones, 1) == (["0", "1"], ["1"])
    assert entrants(ones, 3) == (["0", "2", "1"], [])


def test_the_best_share_goes_on_with_the_best_even_shape() -> None:
    rung = [candidate(str(at), loss=0.1 * (at + 1), source="uniform" if at in (4, 5) else "prior") for at in range(6)]
    assert goes_on(rung, 1 / 3) == (["0", "1", "4"], "4")
    assert goes_on(rung[:1], 0.1) == (["0"], None)
    rung[0].source = "uniform"
    assert goes_on(rung, 1 / 3) == (["0", "1"], None)


def test_what_diverged_never_goes_on() -> None:
    rung = [candidate("0", loss=math.inf, source="uniform"), candidate("1", loss=0.7)]
    assert goes_on(rung, 0.9) == (["1"], None)
    assert goes_on(rung[:1], 0.9) == ([], None)


def test_the_front_weighs_only_what_was_trained() -> None:
    ones = [candidate("0", rank_loss=0.1), candidate("1", loss=0.5, flops=90), candidate("2", loss=0.4, flops=100),
            candidate("3", loss=0.6, flops=110)]  # fmt: skip
    found = standing(ones, record(["flops", "loss"]))
    assert found.front == ["2", "1"]
    assert found.best_loss == 0.4
    boxes = (1 - 90 / 220) * (1 - 0.5 / 2) + (1 - 100 / 220) * (0.5 - 0.4) / 2
    assert found.hypervolume == pytest.approx(boxes)


def test_parameters_that_differ_by_rounding_count_as_equal() -> None:
    ones = [candidate("0", loss=0.4, parameters=1002), candidate("1", loss=0.5, parameters=998)]
    assert standing(ones, record(["parameters", "loss"])).front == ["0"]
    ones[1].parameters = 975
    assert standing(ones, record(["parameters", "loss"])).front == ["0", "1"]


def test_the_loss_stands_for_the_score_until_somebody_has_one() -> None:
    ones = [candidate("0", loss=0.4, flops=100), candidate("1", loss=0.5, flops=90)]
    before = standing(ones, record(["flops", "score"]))
    assert (before.front, before.objectives) == (["0", "1"], ["flops", "loss"])
    ones[0].score = 0.8
    after = standing(ones, record(["flops", "score"]))
    assert (after.front, after.objectives) == (["0"], ["flops", "score"])


def test_nothing_trained_is_no_front() -> None:
    found = standing([candidate("0", rank_loss=0.2)], record(["flops", "loss"]))
    assert (found.front, found.hypervolume, found.best_loss) == ([], None, None)


def test_a_candidate_survives_its_file_also_where_it_diverged(tmp_path: Any) -> None:
    from core.search.structure.records import read_candidates

    one, other = candidate("0", loss=0.25, rank_loss=0.5), candidate("1", loss=math.inf)
    one.write(tmp_path)
    other.write(tmp_path)
    (tmp_path / "candidates" / "2.json").write_text("{")
    assert read_candidates(tmp_path) == {"0": one, "1": other}
