"""Before a distillation starts: what its teachers cost, what they will be asked, and what keeps them from teaching."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.data.tasks import task_for
from core.models import load_tokenizer, resolve
from core.training import MemoryContext, Outcome, count_steps, train
from core.training.distil import objective, rehearsal
from core.training.distil.positions import units
from core.training.estimate import dry_run
from core.training.material import load_rows
from core.training.plan_check import check_plan

Maker = Callable[..., Plan]
Teach = Callable[..., str]


def distil(source: str, **others: Any) -> dict[str, Any]:
    return {"kind": "distil", "distil": {"teachers": [{"source": source}], **others}}


@pytest.mark.parametrize("tagging", [False, True])
def test_answers_are_counted_as_the_run_will_ask_for_them(tagging: bool, make_plan: Maker, shared_cache: Path) -> None:
    plan = make_plan(tagging=tagging)
    found = count_steps(plan, cache=shared_cache)
    roles = load_rows(plan, shared_cache)
    tokenizer = load_tokenizer(resolve(plan.model.source), words=tagging)
    encoded = task_for(plan.task, roles.labels).encode(roles.train, tokenizer, plan.model.max_length)
    count, classes = units(encoded, roles.train)[1], len(roles.labels)
    assert found["answers"] == {"units": count, "classes": classes, "numbers": count * classes}
    assert found["label_names"] == list(roles.labels)


def test_the_estimate_counts_the_teachers_pass_once_until_the_cache_has_it(
    make_plan: Maker, teacher: Teach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, source = tmp_path / "cache", teacher()
    plan = make_plan(stage={**distil(source), "epochs": 1})
    monkeypatch.setattr(rehearsal, "_token_seconds", lambda *_: 0.5)
    found = dry_run(plan, cache=cache)
    (stage,) = found["stages"]
    tokens = count_steps(plan, cache=cache)["tokens"]
    assert stage["teacher"]["answering_s"] == pytest.approx(0.5 * tokens)
    assert not stage["teacher"]["every_step"]
    assert stage["seconds"] > 0.5 * tokens
    assert found["teacher"]["scoring_s"] > stage["teacher"]["scoring_s"] > 0
    assert not (cache / "teachers").exists()  # nothing is written
    assert train(plan, MemoryContext(tmp_path / "run", cache)) is Outcome.FINISHED
    assert dry_run(plan, cache=cache)["teacher"]["answering_s"] == 0


def test_losses_between_layers_make_the_teacher_run_in_the_timed_steps(
    make_plan: Maker, teacher: Teach, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    whole = objective.state_loss
    monkeypatch.setattr(objective, "state_loss", lambda *one, **more: seen.append(one[0].kind) or whole(*one, **more))
    states = [{"kind": "hidden", "map": "linear", "layers": "cka"}, {"kind": "relation", "layers": "last"}]
    found = dry_run(make_plan(stage=distil(teacher(), states=states)), cache=shared_cache)
    assert found["teacher"]["every_step"]
    assert set(seen) == {"hidden", "relation"}
    assert dry_run(make_plan(), cache=shared_cache)["teacher"] is None


def test_a_sound_distillation_has_no_error(make_plan: Maker, teacher: Teach, shared_cache: Path) -> None:
    states = [{"kind": kind} for kind in ("hidden", "attention", "relation", "embedding")]
    plan = make_plan(stage=distil(teacher(), states=states), model={"source": teacher(), "keep_layers": 1})
    assert check_plan(plan, cache=shared_cache)["findings"] == []


@pytest.mark.parametrize(
    ("stage", "options", "key", "words"),
    [
        ({}, {"tagging": True}, "teachers.0.source", "trained for classification, the student learns tagging"),
        ({"teachers": [{"source": "no/where"}]}, {}, "teachers.0.source", "There is no such model folder"),
        ({"teachers": [{"source": "bundled"}]}, {}, "teachers.0.source", "no trained head"),
        ({"states": [{"kind": "hidden", "layers": [[1, 9]]}]}, {}, "states.0.layers", "The layers do not fit"),
        ({"states": [{"kind": "relation", "heads": 5}]}, {}, "states.0.heads", "5 relation heads do not divide"),
        ({"states": [{"kind": "relation"}]}, {"family": "roberta"}, "states", "different tokenisers"),
        (
            {"states": [{"kind": "hidden", "map": "none"}]}, {"shape": {"hidden": 16}}, "states.0.map",
            "The student is 16 wide, the teacher 32",
        ),
    ],
)  # fmt: skip
def test_a_teacher_that_cannot_teach_is_named_before_the_start(
    stage: dict[str, Any], options: dict[str, Any], key: str, words: str, make_plan: Maker, teacher: Teach,
    shared_cache: Path,
) -> None:  # fmt: skip
    found = check_plan(make_plan(stage=distil(teacher(), **stage), **options), cache=shared_cache)["findings"]
    wrong = [one for one in found if one["level"] == "error"]
    assert [one["key"] for one in wrong] == [f"stages.0.distil.{key}"]
    assert words in wrong[0]["message"]


def test_other_labels_and_a_student_that_is_not_smaller_are_named(
    make_plan: Maker, teacher: Teach, shared_cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(teacher()) / "best", other)
    side = other / "bertloom.json"
    side.write_text(side.read_text().replace('"neg"', '"sad"'))
    found = check_plan(make_plan(stage=distil(str(other))), cache=shared_cache)["findings"]
    assert "only in the data: neg; only the teacher's: sad" in found[0]["message"]
    same = check_plan(make_plan(stage=distil(teacher())), cache=shared_cache)["findings"]
    assert [(one["level"], one["key"]) for one in same] == [("warning", "stages.0.distil.teachers.0.source")]
    assert "nothing becomes smaller" in same[0]["message"]


@pytest.mark.parametrize(
    ("keep", "size", "free", "place"),
    [(True, 3_000_000, 10**12, "x.cache_limit_mb"), (True, 500, 1000, "x.cache"), (False, 3_000_000, 0, None),
     (True, 500, 10**12, None)],
)  # fmt: skip
def test_room_for_the_answers_is_asked_for_before_they_are_written(
    keep: bool, size: int, free: int, place: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rehearsal, "free_bytes", lambda _: free)
    found = list(rehearsal._room(keep, 2, 2, size, tmp_path, "x"))
    assert [one[:2] for one in found] == ([("error", place)] if place else [])
