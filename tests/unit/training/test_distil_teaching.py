"""What is heard and seen between the steps of a distilled stage: changed values, shares of the gradient, pins, gaps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from core.config import Plan
from core.config.distillation import DistillationConfig
from core.data.roles import load_roles
from core.errors import ConfigError
from core.training import MemoryContext, Outcome, train
from core.training.diary import FILE, Diary, read_diary
from core.training.distil import monitor, objective, shares
from core.training.distil.controls import Controls, check_change
from core.training.distil.gaps import bucket, bucket_words
from core.training.distil.pins import MOST, read_pins, remove_pin, write_pin
from tests.unit.training.test_distil_stage import distil
from tests.unit.training.test_resume import Killed, Mortal, same, weights

Maker = Callable[..., Plan]
KEPT = {"keep": "all", "checkpoint_every_steps": 3, "log_every": 1}


def seen(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [one for one in read_diary(folder / FILE)["entries"] if one["kind"] == kind]


# -- changed values ---------------------------------------------------------------------------------------------------
def test_values_that_a_person_changes_hold_from_the_next_step_and_after_a_kill(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path
) -> None:
    plan = make_plan(stage=distil(teacher(), alpha=0.7), runtime=KEPT)
    wanted = {"alpha": 0.2, "temperature": 4.0, "differences": 0.5}
    calm = MemoryContext(tmp_path / "calm", shared_cache, changes={4: dict(wanted)})
    assert train(plan, calm) is Outcome.FINISHED
    assert dict(calm.series("distil/alpha"))[4] == 0.7
    assert {value for step, value in calm.series("distil/alpha") if step > 4} == {0.2}
    assert dict(calm.series("distil/temperature"))[5] == 4.0
    assert [dict(calm.series("distil/lambda"))[step] for step in (4, 5)] == [0.0, 0.5]
    (made,) = (event for event in calm.events if event["data"].get("rule") == "person")
    assert (made["kind"], made["step"], made["data"]["action"]) == ("decision", 4, "change")
    assert made["data"]["evidence"]["before"] == {"alpha": 0.7, "temperature": 2.0, "differences": 0.0}
    assert made["data"]["evidence"]["after"] == wanted
    assert "α 0.7 → 0.2" in made["message"]

    # The change itself was checkpointed, before the step that it holds from.
    broken = Mortal(tmp_path / "broken", shared_cache, dies_at=5, changes={4: dict(wanted)})
    with pytest.raises(Killed):
        train(plan, broken)
    assert [path.name for path in (broken.folder / "checkpoints").iterdir()] == ["00000004"]
    again = MemoryContext(broken.folder, shared_cache, points=dict(broken.points))
    assert train(plan, again) is Outcome.FINISHED
    same(calm, again)

    plain = MemoryContext(tmp_path / "plain", shared_cache)
    assert train(plan, plain) is Outcome.FINISHED
    left, right = weights(calm.folder), weights(plain.folder)
    assert any(not torch.equal(left[name], right[name]) for name in left)


def test_a_change_behind_the_last_checkpoint_comes_again_at_its_step(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.run import Run

    plan = make_plan(stage=distil(teacher()), runtime=KEPT)
    calm = MemoryContext(tmp_path / "calm", shared_cache, changes={5: {"alpha": 0.1}})
    assert train(plan, calm) is Outcome.FINISHED
    broken = Mortal(tmp_path / "broken", shared_cache, dies_at=6, changes={5: {"alpha": 0.1}})
    with monkeypatch.context() as full:
        save = Run.save
        full.setattr(Run, "save", lambda self, **more: save(self, **more) if self.step <= 3 else False)
        with pytest.raises(Killed):
            train(plan, broken)
    assert [path.name for path in (broken.folder / "checkpoints").iterdir()] == ["00000003"]
    again = MemoryContext(broken.folder, shared_cache, points=dict(broken.points))
    assert train(plan, again) is Outcome.FINISHED
    same(calm, again)
    results = json.loads((again.folder / "results.json").read_text())
    assert [one["step"] for one in results["decisions"] if one["rule"] == "person"] == [5]


def test_a_value_that_is_set_takes_the_place_of_a_schedule(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    stage = distil(teacher(), alpha=0.9, alpha_schedule={"name": "linear", "to": 0.5})
    context.changes[3] = {"alpha": 0.25}
    assert train(make_plan(stage=stage, runtime={"log_every": 1}), context) is Outcome.FINISHED
    found = context.series("distil/alpha")
    assert [value for _, value in found[:3]] == sorted((value for _, value in found[:3]), reverse=True)
    assert {value for _, value in found[3:]} == {0.25}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temperature": 0.0}, "cannot be 0"),
        ({"alpha": 1.2}, "cannot be 1.2"),
        ({"differences": -0.1}, "cannot be -0.1"),
        ({"alpha": math.nan}, "cannot be nan"),
        ({"alpha": 0.0}, "nothing is learnt"),
        ({"alpha": None}, "Nothing is to be changed"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float | None], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_change(DistillationConfig.model_validate({"teachers": [{"source": "t"}]}), values)


def test_lambda_does_not_go_with_a_selection() -> None:
    config = DistillationConfig.model_validate({"teachers": [{"source": "t"}], "selection": {"share": 0.5}})
    with pytest.raises(ConfigError, match="selection"):
        check_change(config, {"differences": 0.5})


def test_a_new_change_takes_the_place_of_those_that_were_to_come_again(tmp_path: Path) -> None:
    config = DistillationConfig.model_validate({"teachers": [{"source": "t"}]})
    first = Controls(config, 0, tmp_path)
    first.note(1, 10, {"alpha": 0.5, "temperature": 3.0}, {})
    first.note(2, 4, {"alpha": 0.1}, {})
    again = Controls(config, 0, tmp_path)
    found = []
    while (change := again.due(20)) is not None:
        again.apply(change)
        found.append((change.step, dict(change.after)))
    assert found == [(4, {"alpha": 0.1}), (10, {"temperature": 3.0})]
    assert again.value("alpha") == 0.1
    assert again.known(1)
    assert Controls(config, 1, tmp_path).due(20) is None


# -- shares of the gradient -------------------------------------------------------------------------------------------
def test_shares_are_those_of_the_parts_gradients_and_change_no_number(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = distil(teacher(), states=[{"kind": "hidden", "layers": "last"}])
    plan = make_plan(stage=stage, runtime={**KEPT, "log_every": 2})
    monkeypatch.setattr(shares, "EVERY", 1)  # every third step: three parts
    often = MemoryContext(tmp_path / "often", shared_cache)
    assert train(plan, often) is Outcome.FINISHED
    never = MemoryContext(tmp_path / "never", shared_cache)
    monkeypatch.setattr(objective, "measured_at", lambda own, terms: False)
    assert train(plan, never) is Outcome.FINISHED
    left, right = weights(often.folder), weights(never.folder)
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert often.series("train/loss") == never.series("train/loss")
    assert not never.series("distil/share_gold")
    for step, value in often.series("distil/share_gold"):
        others = [dict(often.series(f"distil/share_{name}"))[step] for name in ("soft", "hidden")]
        assert value + sum(others) == pytest.approx(1.0, abs=1e-5)
    assert len(often.series("distil/share_gold")) > 2


def test_a_share_is_the_norm_of_its_gradient() -> None:
    first, second = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    terms = {"gold": (3.0 * first).sum(), "soft": (first**2).sum() + 2.0 * second.sum(), "hidden": torch.zeros(())}
    found = shares.gradient_shares(terms, [first, second])
    norms = [math.sqrt(18), math.sqrt(4 + 16 + 4), 0.0]
    assert [found[f"distil/share_{name}"].item() for name in terms] == pytest.approx(
        [one / sum(norms) for one in norms]
    )
    assert first.grad is None


# -- pins and gaps ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tagging", [False, True])
def test_pins_are_seen_as_student_and_teacher_answer_them(
    tagging: bool, make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path
) -> None:
    from core.models.prediction import predict

    source = teacher(tagging=tagging)
    context = MemoryContext(tmp_path / "run", shared_cache)
    context.folder.mkdir()
    words = "anna went to london, zebra" if tagging else "a great film zebra"  # zebra is in no row
    pin = write_pin(context.folder, words, tagging=tagging)
    assert train(make_plan(tagging=tagging, stage={**distil(source), "epochs": 3}), context) is Outcome.FINISHED
    (head,), strips = seen(context.folder, "pin"), seen(context.folder, "strip")
    assert head["pin"] == pin.id
    assert head["parts"] == (pin.tokens if tagging else [""])
    steps = [one["step"] for one in strips]
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    assert {step for step, _ in context.series("gate/loss")} <= set(steps)

    # The last weights are the best model's where the last evaluation is the best; the teacher's stay as they are.
    given: Any = pin.tokens if tagging else words
    (told,) = predict(Path(source) / "best", [given])
    best = next(one for one in strips if one["step"] == context.state["best"]["step"])
    (own,) = predict(context.folder / "best", [given])
    for one, answers in ((told, head["teacher"]), (own, best["student"])):
        names = [head["classes"][top[0][0]] for top in answers]
        assert names == (one.label if tagging else [one.label])
        expected = one.scores if tagging else [one.scores[one.label]]
        assert [top[0][1] / 1000 for top in answers] == pytest.approx(expected, abs=2e-3)
    if not tagging:
        left, right = ([one.scores[name] for name in head["classes"]] for one in (told, own))
        assert best["d"] == pytest.approx([jensenshannon(left, right, base=2) ** 2], abs=2e-4)


def test_looking_changes_nothing_and_a_kill_leaves_no_step_twice(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(tagging=True, stage=distil(teacher(tagging=True)), runtime=KEPT)
    blind = MemoryContext(tmp_path / "blind", shared_cache)
    with monkeypatch.context() as closed:
        for name in ("begin", "stepped", "evaluated"):
            closed.setattr(monitor.Monitor, name, lambda *_: {})
        assert train(plan, blind) is Outcome.FINISHED
    monkeypatch.setattr(monitor, "SHARE", 1e6)  # every step
    broken = Mortal(tmp_path / "broken", shared_cache, dies_at=8)
    broken.folder.mkdir()
    write_pin(broken.folder, "anna was in paris", tagging=True)
    with pytest.raises(Killed):
        train(plan, broken)
    with (broken.folder / FILE).open("a") as file:
        file.write('{"kind":"strip","step":8,"pi')  # it was killed while it wrote
    before = read_diary(broken.folder / FILE)
    assert [one["step"] for one in before["entries"] if one["kind"] == "strip"][-1] >= 7
    again = MemoryContext(broken.folder, shared_cache, points=dict(broken.points))
    assert train(plan, again) is Outcome.FINISHED
    left, right = weights(blind.folder), weights(again.folder)
    assert all(torch.equal(left[name], right[name]) for name in left)
    last = max(step for step, _ in again.series("train/loss"))
    assert [one["step"] for one in seen(again.folder, "strip")] == list(range(last + 1))
    assert len(seen(again.folder, "pin")) == 1
    after = read_diary(again.folder / FILE, before["cursor"], before["name"])
    assert after["replace"]  # what was read of steps that were taken again is void
    evaluations = [step for step, _ in again.series("gate/loss")]
    assert [one["step"] for one in seen(again.folder, "gaps")] == evaluations
    assert all(len(one["cka"]) == 2 and len(one["cka"][0]) == 2 for one in seen(again.folder, "layers"))
    assert len(seen(again.folder, "layers")) == len(evaluations)


@pytest.mark.parametrize("tagging", [False, True])
def test_gaps_are_those_of_the_rows(
    tagging: bool, make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    source = teacher(tagging=tagging)
    assert train(make_plan(tagging=tagging, stage={**distil(source), "epochs": 1}), context) is Outcome.FINISHED
    found = seen(context.folder, "gaps")[-1]
    assert sum(found["quadrants"].values()) == found["n"]
    for name in ("label", "place"):
        assert sum(one[1] for one in found[name]) == found["n"]
        mean = sum(one[1] * one[2] for one in found[name]) / found["n"]
        assert mean == pytest.approx(found["divergence"], abs=1e-4)
    assert found["by"] == ("position" if tagging else "length")
    share = (found["quadrants"]["both_right"] + found["quadrants"]["harmful"]) / found["n"]
    metric = "token_accuracy" if tagging else "accuracy"
    assert share == pytest.approx(context.series(f"gate/{metric}")[-1][1], abs=1e-6)
    assert context.series("distil/gate_divergence")[-1][1] == found["divergence"]
    differs = [one["d"] for one in found["most"]]
    assert differs == sorted(differs, reverse=True)
    assert ("parts" in found) == tagging  # a text has no part of speech
    row = found["most"][0]
    assert len(row["gold"]) == len(row["tokens"]) if tagging else row["gold"] in ("pos", "neg")


def test_words_are_told_by_their_part_of_speech(
    make_plan: Maker, teacher: Callable[..., str], material: Path, tmp_path: Path, shared_cache: Path
) -> None:
    parts = {"O": "NOUN", "B-PER": "PROPN", "B-LOC": "PROPN"}
    rows = [json.loads(line) for line in (material / "tags.jsonl").read_text().splitlines()]
    path = tmp_path / "tags.conllu"
    path.write_text(
        "\n".join(
            "".join(
                f"{at}\t{word}\t_\t{'NUM' if word.isdecimal() else parts[tag]}\t_\t_\t_\t_\t_\tNER={tag}\n"
                for at, (word, tag) in enumerate(zip(row["tokens"], row["tags"], strict=True), 1)
            )
            for row in rows
        )
    )
    plan = make_plan(tagging=True, stage={**distil(teacher(tagging=True)), "epochs": 1}, data={"source": str(path)})
    context = MemoryContext(tmp_path / "run", shared_cache)
    assert train(plan, context) is Outcome.FINISHED
    found = seen(context.folder, "gaps")[-1]
    assert found["parts"] == {"origin": "gold", "source": f"column upos of {path}"}
    by_part, by_label = ({name: rest for name, *rest in found[kind]} for kind in ("part", "label"))
    assert set(by_part) == {"NUM", "NOUN", "PROPN"}
    assert by_part["NUM"][0] == len(load_roles(plan.data, plan.task, cache=shared_cache).gate)  # one in each row
    # What is a name by its tag is one by its part of speech: the two tables must tell the same of them.
    count, differs, agrees = by_part["PROPN"]
    named = [by_label[name] for name in ("B-PER", "B-LOC")]
    assert count == sum(one[0] for one in named)
    assert differs == pytest.approx(sum(one[0] * one[1] for one in named) / count, abs=1e-4)
    assert agrees == pytest.approx(sum(one[0] * one[2] for one in named) / count, abs=1e-4)


def test_several_labels_a_text_are_one_question_each(
    make_plan: Maker, context: MemoryContext, tmp_path: Path, shared_cache: Path
) -> None:
    path = tmp_path / "many.jsonl"
    words = {"a": "apple", "b": "bread", "c": "cheese"}
    with path.open("w") as file:
        for index in range(60):
            own = [name for place, name in enumerate(words) if (index >> place) & 1]
            text = " ".join([*(words[name] for name in own), "the", str(index)])
            file.write(json.dumps({"text": text, "label": own}) + "\n")
    plan = make_plan(data={"source": str(path)}).model_dump()
    plan["task"]["multi_label"] = True
    told = MemoryContext(tmp_path / "teacher", shared_cache)
    assert train(Plan.model_validate(plan), told) is Outcome.FINISHED
    plan["stages"][0].update(distil(str(told.folder)))
    context.folder.mkdir()
    write_pin(context.folder, "apple cheese", tagging=False)
    assert train(Plan.model_validate(plan), context) is Outcome.FINISHED
    (head,) = seen(context.folder, "pin")
    assert (head["parts"], head["classes"]) == (["a", "b", "c"], ["no", "yes"])
    assert all(len(one["d"]) == 3 for one in seen(context.folder, "strip"))
    found = seen(context.folder, "gaps")[-1]
    assert {one[0] for one in found["label"]} == {"a", "b", "c"}
    assert isinstance(found["most"][0]["gold"], list)


def test_buckets_double() -> None:
    assert bucket(np.asarray([1, 2, 3, 4, 5, 8, 9])).tolist() == [0, 1, 2, 2, 3, 3, 4]
    assert [bucket_words(one) for one in range(5)] == ["1", "2", "3–4", "5–8", "9–16"]


def test_pins_are_kept_once_and_bounded(tmp_path: Path) -> None:
    pin = write_pin(tmp_path, "  Anna is   in London ", tagging=True)
    assert pin.tokens == ["Anna", "is", "in", "London"]
    assert write_pin(tmp_path, "Anna is in London", tagging=True) == pin
    assert read_pins(tmp_path) == [pin]
    for words, expected in (("", "empty"), ("a" * 1001, "1,001 letters")):
        with pytest.raises(ConfigError, match=expected):
            write_pin(tmp_path, words, tagging=False)
    for number in range(MOST - 1):
        write_pin(tmp_path, f"sentence {number}", tagging=True)
    with pytest.raises(ConfigError, match="pinned already"):
        write_pin(tmp_path, "one more", tagging=True)
    remove_pin(tmp_path, pin.id)
    assert len(read_pins(tmp_path)) == MOST - 1


def test_a_diary_is_read_on_from_where_one_was(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert read_diary(path) == {"name": "", "cursor": 0, "replace": False, "more": False, "entries": []}
    diary = Diary(path, lambda entry: True)
    assert diary.write("strip", 3, "a", d=[0.5])
    assert not diary.write("strip", 3, "a", d=[0.1])
    first = read_diary(path)
    assert [one["d"] for one in first["entries"]] == [[0.5]]
    diary.write("strip", 5, "a", d=[0.25])
    second = read_diary(path, first["cursor"], first["name"])
    assert ([one["step"] for one in second["entries"]], second["replace"]) == ([5], False)
    same_file = Diary(path, lambda entry: True)
    assert read_diary(path)["name"] == first["name"]
    assert not same_file.write("strip", 5, "a", d=[0.0])
    Diary(path, lambda entry: entry["step"] < 5).write("strip", 4, "a", d=[0.75])
    third = read_diary(path, second["cursor"], second["name"])
    assert ([one["step"] for one in third["entries"]], third["replace"]) == ([3, 4], True)
