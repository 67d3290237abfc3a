"""The structure experiment is fair by construction, and ``docs/structure.md`` says what the measured files say."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr, ttest_rel

from core.models.shaped import count
from core.render.arms_svg import ArmRow, Panel, arms_svg
from core.search.widths import TOLERANCE
from core.studies.records import ArmRun
from tests.benchmarks import structure
from tests.benchmarks.report_structure import page, picture, statistics
from tests.benchmarks.structure import PAGE, PICTURE, RESULTS, SEEDS, Bench, Job, every_job, measure, plan_of, run_job
from tests.benchmarks.structure_arms import ARMS, CANDIDATES, SPACE, arm_named, permuted, scaled, shapes_of
from tests.benchmarks.structure_judge import by_arm, comparisons, found_best
from tests.benchmarks.structure_records import ShapeRun, read_runs, write_run

NEEDED = [320, 256, 192, 256, 288, 384]


# ---- the arms


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_every_arm_ranks_equally_many_shapes_of_one_budget_and_depth_with_a_full_readout(arm: Any) -> None:
    for seed in range(SEEDS):
        shapes = shapes_of(arm, seed, NEEDED)
        assert len({tuple(layer.width for layer in shape.layers) for shape in shapes}) == len(shapes) == CANDIDATES
        for shape in shapes:
            assert abs(count(shape).body - SPACE.budget) <= TOLERANCE * SPACE.budget
            assert len(shape.layers) == 6
            assert shape.readout
            assert all(layer.size_of_head == 32 for layer in shape.layers)


def test_the_budget_is_half_of_what_the_bundled_encoder_has() -> None:
    from core.search.widths import Space

    parent = Space(layers=6, stream=384, head_size=32, budget=1, readout=False).body([384] * 6)
    assert SPACE.budget == pytest.approx(parent / 2, rel=1e-3)


def test_the_priors_widths_are_in_the_order_of_what_the_layers_need() -> None:
    for shape in shapes_of(arm_named("prior"), 0, NEEDED):
        widths = [layer.width for layer in shape.layers]
        assert spearmanr(widths, NEEDED).statistic > 0.9
        assert all(
            widths[one] <= widths[other] for one in range(6) for other in range(6) if NEEDED[one] < NEEDED[other]
        )


def test_the_permuted_prior_has_the_same_needs_in_an_order_that_is_drawn_and_not_chosen() -> None:
    drawn = [tuple(permuted([1, 2, 3], seed)) for seed in range(600)]
    assert set(drawn) == set(permutations([1, 2, 3]))  # the old order is not left out
    expected = 600 / 6
    assert sum((drawn.count(one) - expected) ** 2 / expected for one in set(drawn)) < 20.5  # chi², 5 df, p = 0.001
    for seed in range(4):
        order = permuted(NEEDED, seed)
        assert sorted(order) == sorted(NEEDED)
        followed = [[layer.width for layer in shape.layers] for shape in shapes_of(arm_named("permuted"), seed, NEEDED)]
        assert followed == [[layer.width for layer in scaled(order, ratio).layers] for ratio in (1.0, 1.5, 2.5)]


def test_only_random_and_permuted_depend_on_the_seed_and_only_the_priors_on_the_graphs() -> None:
    for arm in ARMS:
        same = shapes_of(arm, 0, NEEDED) == shapes_of(arm, 1, NEEDED)
        assert same == (arm.name not in ("random", "permuted")), arm.name
        blind = shapes_of(arm, 0, NEEDED) == shapes_of(arm, 0, NEEDED[::-1])
        assert blind == (arm.name not in ("prior", "permuted")), arm.name


def test_tapers_and_bulge_go_the_way_they_are_called() -> None:
    for name, rising in (("reverse", True), ("taper", False)):
        for shape in shapes_of(arm_named(name), 0, NEEDED):
            widths = [layer.width for layer in shape.layers]
            assert widths == sorted(widths, reverse=not rising)
            assert widths[0] != widths[-1]
    for shape in shapes_of(arm_named("bulge"), 0, NEEDED):
        widths = [layer.width for layer in shape.layers]
        assert widths == widths[::-1]
        assert max(widths) == widths[2] > widths[0]


# ---- what the arms of one seed share


def test_runs_go_seed_after_seed_so_that_what_is_there_is_paired() -> None:
    jobs = every_job()
    assert len({job.key for job in jobs}) == len(jobs) == SEEDS * len(ARMS)
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)


def test_fine_tuning_differs_between_arms_only_in_the_student_and_between_seeds_only_in_the_seed() -> None:
    one, other, later = (plan_of(*given).model_dump() for given in (("a", 3), ("b", 3), ("a", 4)))
    assert one["model"].pop("source") != other["model"].pop("source")
    assert one == other
    later["model"].pop("source")
    assert (one["runtime"].pop("seed"), later["runtime"].pop("seed")) == (3, 4)
    one.pop("name"), later.pop("name")
    assert one == later


class _Stand:
    """Stands in for everything that computes, and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from core.search.distilling import Distilled

        self.calibrated: list[int] = []
        self.inherited: list[tuple[Any, int, list[int]]] = []
        self.distilled: list[tuple[Any, dict[str, Any], list[int]]] = []
        self.tuned: list[tuple[str, int]] = []

        def calibrate(source: str, corpus: Any, *, seed: int, train_tokens: int) -> Any:
            self.calibrated.append(seed)
            nothing = SimpleNamespace(save_pretrained=lambda place: None)
            return SimpleNamespace(fit=f"fit {seed}", held_out=f"held {seed}", tokenizer=nothing)

        def inherit(fit: Any, shape: Any, *, seed: int) -> Any:
            widths = [layer.width for layer in shape.layers]
            self.inherited.append((fit, seed, widths))
            return SimpleNamespace(widths=widths, model=SimpleNamespace(save_pretrained=lambda place: None))

        def distil(student: Any, calibration: Any, **settings: Any) -> Any:
            self.distilled.append((calibration, settings, student.widths))
            return Distilled(0.8, 0.3, settings["steps"], 1.0, ((0, 0.8), (settings["steps"], 0.3)))

        def tune(student: str, job: Job, folder: Path, cache: Path) -> ArmRun:
            self.tuned.append((job.arm.name, job.seed))
            return ArmRun("full", job.arm.name, job.seed, "accuracy", score=0.7)

        monkeypatch.setattr("core.search.inheriting.calibrate", calibrate)
        monkeypatch.setattr("core.models.shaped.inherit.inherit", inherit)
        # The second-widest bottom layer ranks best, so neither the first nor the last shape wins by its place.
        monkeypatch.setattr(
            "core.models.shaped.distance.distance",
            lambda student, held: SimpleNamespace(loss=abs(student.widths[0] - 288) / 384, last=0.1),
        )
        monkeypatch.setattr("core.search.distilling.distil_states", distil)
        monkeypatch.setattr(structure, "fine_tune", tune)


def test_the_arms_of_a_seed_share_texts_steps_and_seed_and_train_the_shape_that_ranked_best(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand, bench = _Stand(monkeypatch), Bench(tmp_path)
    runs = [run_job(Job(arm, seed), NEEDED, bench, tmp_path) for seed in (0, 1) for arm in ARMS]
    assert stand.calibrated == [0, 1]
    for seed in (0, 1):
        own = [entry for entry in stand.distilled if entry[1]["seed"] == seed]
        assert len(own) == len(ARMS)
        assert len({id(calibration) for calibration, _, _ in own}) == 1
        assert all(settings == own[0][1] for _, settings, _ in own)
        assert sum(entry[:2] == (f"fit {seed}", seed) for entry in stand.inherited) == CANDIDATES * len(ARMS)
    assert [trained for _, _, trained in stand.distilled] == [run.shape["widths"] for run in runs]
    assert all(run.shape["loss"] == min(one["loss"] for one in run.ranked) for run in runs)
    assert {run.chosen for run in runs if run.arm == "uniform"} == {1}


def test_what_is_there_is_not_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand = _Stand(monkeypatch)
    monkeypatch.setattr(structure, "RESULTS", tmp_path)
    monkeypatch.setattr(structure, "STATISTICS", tmp_path / "statistics.json")
    (tmp_path / "statistics.json").write_text(json.dumps({"layers": [{"least": 384}, *({"least": d} for d in NEEDED)]}))
    assert measure(0) == SEEDS * len(ARMS)
    assert measure(1) == 0
    assert len(stand.tuned) == len(set(stand.tuned)) == SEEDS * len(ARMS)
    (tmp_path / "prior_3.json").write_text('{"arm": "prior", "cut sh')  # a crash in the middle of writing
    (tmp_path / "taper_5.json").unlink()
    stand.tuned.clear()
    assert measure(1) == 0
    assert stand.tuned == [("prior", 3), ("taper", 5)]


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = made("prior", 2, 0.31, 0.74)
    write_run(tmp_path, run)
    assert read_runs(tmp_path) == [run]


# ---- the page


def made(arm: str, seed: int, after: float, score: float, before: float = 0.7) -> ShapeRun:
    """Return a run with this outcome; its answers are the first so many right."""
    rows = 100
    bits = np.zeros(rows, dtype=np.uint8)
    bits[np.random.default_rng(seed).permutation(rows)[: round(score * rows)]] = 1
    documents = {"score": "mean", "bits": np.packbits(bits).tobytes().hex(), "n": rows}
    task = ArmRun("full", arm, seed, "accuracy", score=score, majority=0.5, documents=documents)
    shape = {"widths": [384] * 6, "units": [350] * 6, "parameters": 5_323_392, "flops": 10**9, "loss": before}
    return ShapeRun(arm, seed, [shape] * 3, 0, None, before, after, 0.1, [[0, before], [120, after]], 120, task)


def outcome(value: Callable[[str, int], tuple[float, float]], seeds: int = SEEDS) -> list[ShapeRun]:
    """Return runs of all arms."""
    return [made(arm.name, seed, *value(arm.name, seed)) for arm in ARMS for seed in range(seeds)]


def wobble(arm: str, seed: int) -> float:
    return float(np.random.default_rng([len(arm), sum(map(ord, arm)), seed]).normal())


def test_a_prior_that_beats_all_three_has_earned_its_place_and_one_that_beats_two_has_not() -> None:
    clear = outcome(lambda arm, seed: (0.25 if arm == "prior" else 0.35 + 0.002 * wobble(arm, seed), 0.7))
    assert page(clear, {}).count("So it has earned its place.") == 1
    two = outcome(
        lambda arm, seed: ({"prior": 0.25, "permuted": 0.252}.get(arm, 0.35) + 0.002 * wobble(arm, seed), 0.7)
    )
    text = page(two, {})
    assert "So it has earned its place." not in text
    assert "**equivalent** to graph prior, permuted" in text


def test_a_difference_within_the_noise_is_not_distinguishable_and_the_seeds_that_would_tell_are_named() -> None:
    runs = outcome(lambda arm, seed: (0.3 + 0.03 * wobble(arm, seed), 0.7))
    one = comparisons("loss", by_arm(runs, SEEDS))["graph prior − best uniform"]
    assert one.seeds_needed is not None
    assert "**not distinguishable** from best uniform" in page(runs, {})
    assert f"{one.seeds_needed} seeds would find a difference as large as the margin" in page(runs, {})
    assert "The best found shape does not beat the best uniform one" in page(runs, {})


def test_comparisons_are_paired_by_seed_and_a_smaller_loss_is_better() -> None:
    runs = outcome(
        lambda arm, seed: (0.3 + 0.1 * seed - (0.02 if arm == "prior" else 0) + 0.001 * wobble(arm, seed), 0.7)
    )
    known = by_arm(runs, SEEDS)
    one = comparisons("loss", known)["graph prior − random"]
    sides = [[known[arm][seed].after for seed in range(SEEDS)] for arm in ("prior", "random")]
    assert one.p == pytest.approx(ttest_rel(*sides).pvalue)
    assert one.verdict == "better"  # although the seeds lie far apart


def test_the_best_found_shape_is_chosen_by_its_rank_and_never_uniform() -> None:
    before = {"prior": 0.5, "uniform": 0.1, "taper": 0.4}
    runs = [made(arm.name, 0, 0.9 if arm.name == "taper" else 0.2, 0.7, before.get(arm.name, 0.6)) for arm in ARMS]
    assert found_best(by_arm(runs, SEEDS))[0].arm == "taper"  # although it ended worst
    assert found_best(by_arm(runs[:-1], SEEDS)) == {}  # another arm might have ranked better


def test_the_page_names_what_is_missing_and_gives_no_verdict_on_few_seeds() -> None:
    text = page(outcome(lambda arm, seed: (0.2 if arm == "prior" else 0.3, 0.7), seeds=3), {})
    assert "*Not finished*" in text
    assert f"random ({SEEDS - 3} of {SEEDS})" in text
    assert "No verdict on the graph prior yet" in text
    assert "not measured yet" in text
    assert "*Not finished*" in page([], {})
    assert "*Not finished*" not in page(outcome(lambda arm, seed: (0.3, 0.7)), {})


def test_the_page_and_its_picture_are_those_of_the_measured_files() -> None:
    runs = read_runs(RESULTS)
    told = "run python -m tests.benchmarks.structure --render"
    assert page(runs, statistics()) == PAGE.read_text(encoding="utf-8"), told
    assert picture(runs) == PICTURE.read_text(encoding="utf-8"), told


def test_every_measured_file_is_a_planned_run_with_the_shapes_that_its_arm_chooses() -> None:
    runs = read_runs(RESULTS)
    assert {run.key for run in runs} <= {job.key for job in every_job()}
    assert len(runs) == len(list(RESULTS.glob("*_*.json")))
    assert structure.STATISTICS.exists() or not runs  # otherwise they would be measured here
    needed = structure.needed_widths() if runs else []
    for run in runs:
        chosen = [[layer.width for layer in shape.layers] for shape in shapes_of(arm_named(run.arm), run.seed, needed)]
        assert [one["widths"] for one in run.ranked] == chosen, run.key
        assert run.before == pytest.approx(run.shape["loss"], abs=1e-5)


def test_the_picture_is_well_formed_has_both_looks_and_shows_every_seed() -> None:
    name = 'a < b & "c"'
    row = ArmRow(name, (0.1, 0.2, 0.3), 0.2, (0.05, 0.35))
    text = arms_svg([Panel("loss", (row,)), Panel("share", (replace(row, interval=None),), percent=True)], title=name)
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == name
    assert "prefers-color-scheme:dark" in text
    assert text.count("<circle") == 6
    places = [float(one.attrib["cx"]) for one in root.iter("{http://www.w3.org/2000/svg}circle")][:3]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert ElementTree.fromstring(arms_svg([Panel("nothing", ())], title="empty")) is not None
