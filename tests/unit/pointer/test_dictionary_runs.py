"""Training with a dictionary on tiny encoders: every path computes the same, and the folder alone answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Comparison, Plan, TaskConfig
from core.config.compared import task_of
from core.config.joint import JointPlan
from core.data.check import check
from core.data.gazetteer import gazetteer_of
from core.data.roles import load_roles
from core.data.tasks.pointer_view import gold_of
from core.errors import DataError
from core.models import export_model, load_finished, predict
from core.models.pointer.entries import entry_inputs
from core.models.pointing import point
from core.models.trained import task_difference
from core.render.pointer_figures import pointer_arcs
from core.runs.pointing import pointer_looks
from core.training import MemoryContext, Outcome, train
from core.training.activations import prepare_feeds
from core.training.distil.answers import kept_of
from core.training.distil.sides import compare
from core.training.distil.sides import said as said_of
from core.training.distil.teacher import load_teacher
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits
from core.training.joint import train as train_joint
from core.training.plan_check import check_plan
from core.training.prepare import prepare

ENTRIES = "entry,type\nanna,PER\nPAUL  inc,PER\nlondon,LOC\nparis york,LOC\nzanzibar,LOC\n"
SENTENCE = "the cat was anna inc and sad paris york"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / "known.csv").write_text(ENTRIES)
    return tmp_path / "known.csv"


@pytest.mark.parametrize("dictionary", ["labels", "gazetteer"])
def test_it_learns_and_the_folder_alone_answers(
    dictionary: str, pointer_plan: Callable[..., Plan], ground: Path, tmp_path: Path, listed: Path
) -> None:
    more = {"gazetteer": str(listed)} if dictionary == "gazetteer" else {}
    epochs = 8 if more else 30
    plan = pointer_plan(epochs=epochs, lr=5e-3, head_lr=5e-3, pointer={"dictionary": dictionary, **more})
    run = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(plan, run) is Outcome.FINISHED
    losses = [
        value for (name, _), value in sorted(run.points.items(), key=lambda one: one[0][1]) if name == "train/loss"
    ]
    assert losses[-1] < (0.9 if more else 0.5) * losses[0]
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert metrics["test/pointer_accuracy"] > (0.5 if more else 0.85)
    listed.unlink()
    best = load_finished(tmp_path / "run" / "best")
    side = json.loads((tmp_path / "run" / "best" / "bertloom.json").read_text())["task"]["pointer"]
    settings = json.loads((tmp_path / "run" / "best" / "config.json").read_text())["pointers"]
    count = 5 if more else 2
    assert len(settings["dictionary"]) == len(settings["pieces"]) == count
    assert side["gazetteer"] is None
    (answer,) = predict(best, [SENTENCE])
    (again,) = predict(load_finished(tmp_path / "run" / "best"), [SENTENCE])
    assert answer.as_dict() == again.as_dict()
    assert more or {"entry": "per", "type": "PER", "number": 1} in (answer.pointers or [])
    export_model(tmp_path / "run" / "best", tmp_path / "out", format="safetensors")
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"one of {count} entries" in card
    assert [one.as_dict() for one in predict(load_finished(tmp_path / "out"), [SENTENCE])] == [answer.as_dict()]
    (view,) = point(best, [SENTENCE])
    assert view["entries"] == {"numbers": list(range(count)), "left": 0}
    assert len(view["columns"]) == 9 + count
    np.testing.assert_allclose(np.sum(view["shares"], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.sum(view["memory"], axis=1), 1.0, rtol=1e-5)
    looks = pointer_looks(tmp_path / "run")
    assert {one["role"] for one in looks} == {"gate", "test"}
    assert all(max(one["gold"]["pointed"]) <= len(one["looks"][-1]["columns"]) for one in looks)
    words, found, missed = pointer_arcs(looks[0]["looks"][-1], looks[0]["gold"])
    assert all(arc.head <= len(words) for arc in (*found, *missed))
    tags = ["O", "O", "O", "B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"]
    row = {"tokens": SENTENCE.split(), "tags": [best.task.labels.index(tag) for tag in tags]}
    gold = gold_of(best.task, row, view)["pointed"]
    # anna inc is no entry, so it points to itself; paris york is one
    assert gold == ([0, 0, 0, 4, 4, 0, 0, 13, 8] if more else [0, 0, 0, 11, 4, 0, 0, 10, 8])


def test_all_paths_compute_the_same(pointer_plan: Callable[..., Plan], ground: Path, listed: Path) -> None:
    dictionary = {"dictionary": "gazetteer", "gazetteer": str(listed), "sentence_weight": 0.5}
    prepared = prepare(pointer_plan(pointer=dictionary), ground / "cache")
    pieces = {piece for one in prepared.model.config.pointers["pieces"] for piece in one}
    assert prepared.rows is not None
    assert pieces <= set(prepared.rows.ids.tolist())  # of zanzibar too, which no row holds
    features, indices = prepared.encoded["train"].features[:6], np.arange(6)
    found: dict[str, torch.Tensor] = {}
    for path in ("stock", "packed"):
        engine = Engine(prepared, path=path)
        with engine.scoring(), torch.inference_mode():
            found[path], batch = engine.forward(features, indices, "train")
            if path == "stock":
                found["plain"] = prepared.model(**{name: batch[name] for name in batch if name != "labels"}).logits
        engine.close()
    assert not entry_inputs(prepared.model)["input_ids"].is_inference()  # it was first asked in inference mode
    real = batch["words"] >= 0
    assert torch.equal(found["stock"], found["plain"])
    torch.testing.assert_close(found["packed"][real], found["stock"][real], rtol=1e-4, atol=1e-5)
    engine = Engine(prepared)
    total, weight, _ = engine.loss(features, indices)
    (total / weight).backward()
    without = [name for name, one in prepared.model.named_parameters() if one.grad is None or not one.grad.any()]
    assert [name for name in without if "attention.self.key.bias" not in name] == []
    with engine.scoring():
        every = role_logits(engine.scorer("gate"), prepared.encoded["gate"])
    gate = prepared.encoded["gate"]
    metrics = prepared.task.evaluate(every, gate, prepared.roles.gate).metrics
    with engine.scoring(), torch.inference_mode():
        sums = [engine.loss([one], np.array([at]), "gate")[:2] for at, one in enumerate(gate.features)]
    mean = sum(float(one) for one, _ in sums) / sum(float(one) for _, one in sums)
    assert metrics["loss"] == pytest.approx(mean, rel=1e-4)
    assert distinct_predictions(every, prepared.task.config) >= 1
    assert 0 < entropy_share(every, gate, prepared.task.config) <= 1
    nothing = prepared.task.evaluate(prepared.task.uninformed(gate), gate, prepared.roles.gate).metrics["loss"]
    assert np.isfinite(nothing)
    prepared.release()


@pytest.mark.parametrize("path", ["stock", "packed"])
@pytest.mark.parametrize("frozen", [{"freeze_encoder": True}, {"freeze_layers": 1}])
def test_frozen_layers_are_fed_from_the_cache(
    frozen: dict[str, Any], path: str, pointer_plan: Callable[..., Plan], ground: Path, tmp_path: Path
) -> None:
    prepared = prepare(pointer_plan(pointer={"dictionary": "labels"}, **frozen), ground / "cache")
    engine = Engine(prepared, path=path)
    features, indices = prepared.encoded["train"].features[:5], np.arange(5)
    found, told = [], list[str]()
    for fed in (False, True):
        if fed:
            prepare_feeds(
                engine, tmp_path, check=lambda: None, event=lambda *one, **_: told.append(one[1]), fingerprint="x"
            )
            assert "train" in engine.feeds, told
        with engine.scoring():  # the second time from what was kept
            found += [engine.forward(features, indices, "train")[0] for _ in range(2)]
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=1e-4, atol=1e-5)
    found[-1][:, 0].sum().backward()
    assert prepared.model.pointer.scorer.offset.grad is not None
    engine.close()
    prepared.release()


def test_tasks_together(pointer_plan: Callable[..., Plan], ground: Path, tmp_path: Path, listed: Path) -> None:
    plans = {
        "names": pointer_plan(pointer={"dictionary": "gazetteer", "gazetteer": str(listed)}),
        "asked": pointer_plan("question_answering"),
    }
    joint = JointPlan.model_validate(
        {
            "tasks": [{"name": name, "task": one.task, "data": one.data} for name, one in plans.items()],
            "model": {"source": plans["names"].model.source, "max_length": 32},
            "training": {"lr": 1e-3, "batch_size": 16, "steps": 6},
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )
    assert train_joint(joint, MemoryContext(tmp_path / "run", ground / "cache")) is Outcome.FINISHED
    best = load_finished(tmp_path / "run" / "best" / "names")
    assert best.task.dictionary is not None
    assert len(best.task.dictionary) == 5


def test_a_check_tells_entries_and_coverage(
    pointer_plan: Callable[..., Plan], ground: Path, listed: Path, tmp_path: Path
) -> None:
    plan = pointer_plan(pointer={"dictionary": "gazetteer", "gazetteer": str(listed)})
    roles = load_roles(plan.data, plan.task, cache=ground / "cache")
    said = covered = 0
    known = {("PER", "anna"), ("PER", "paul inc"), ("LOC", "london"), ("LOC", "paris york")}
    for row in roles.train:
        tags = [roles.labels[at] for at in row["tags"]]
        for at, tag in enumerate(tags):
            if tag.startswith("B-"):
                last = at + 1 if at + 1 < len(tags) and tags[at + 1].startswith("I-") else at
                said += 1
                covered += (tag[2:], " ".join(row["tokens"][at : last + 1])) in known
    told = roles.report["dictionary"]
    assert (told["entries"], told["entities"], told["covered"]) == (5, said, covered)
    assert len(told["sha256"]) == 64
    assert 0 < covered < said
    found = check_plan(plan, cache=ground / "cache")["findings"]
    (note,) = (one for one in found if one["key"] == "task.pointer.dictionary")
    assert f"{covered:,} of the {said:,} entities" in note["message"]
    before = roles.fingerprint
    listed.write_text(ENTRIES + "berlin,LOC\n")
    assert load_roles(plan.data, plan.task, cache=ground / "cache").fingerprint != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entry,type\nanna,PER\n,PER\nANNA,PER\n", "2 entries .* line 3: entry is empty; line 4: ANNA .* in line 2"),
        ("name,type\nanna,PER\n", "no column entry"),
        ("entry,type\nanna\n", "line 2: it has 1 cell"),
        ("entry,type\n" + "".join(f"a{number},PER\n" for number in range(501)), "more than 500"),
        ("entry,type\n" + "x" * 101 + ",PER\n", "101 characters"),
        ("entry,type\n", "no entries"),
        ("entry,type\nanna,PER\nacme,ORG\n", "line 3: acme has the type ORG"),
    ],
)
def test_bad_rows_are_named(
    text: str, said: str, pointer_plan: Callable[..., Plan], ground: Path, listed: Path
) -> None:
    listed.write_text(text)
    plan = pointer_plan(pointer={"dictionary": "gazetteer", "gazetteer": str(listed)})
    with pytest.raises(DataError, match=said):
        load_roles(plan.data, plan.task, cache=ground / "cache")
    report = check(plan.data, plan.task, cache=ground / "cache")
    assert not report.ok


def test_other_files_and_none(tmp_path: Path) -> None:
    def read(name: str, text: str) -> list[tuple[str, str]]:
        (tmp_path / name).write_text(text)
        pointer = {"dictionary": "gazetteer", "gazetteer": str(tmp_path / name)}
        found = gazetteer_of(TaskConfig.model_validate({"kind": "tagging", "head": "pointer", "pointer": pointer}))
        assert found is not None
        return found.entries

    assert read("a.tsv", "type\tentry\nLOC\tNew  York\n") == [("New York", "LOC")]
    assert read("a.jsonl", '{"entry": "anna", "type": "PER"}\n') == [("anna", "PER")]
    with pytest.raises(DataError):
        gazetteer_of(
            TaskConfig.model_validate(
                {
                    "kind": "tagging",
                    "head": "pointer",
                    "pointer": {"dictionary": "gazetteer", "gazetteer": "nowhere.csv"},
                }
            )
        )


def test_teachers_and_strategies() -> None:
    task = TaskConfig.model_validate({"kind": "tagging", "head": "pointer", "pointer": {"dictionary": "labels"}})
    plain = TaskConfig.model_validate({"kind": "tagging", "head": "pointer"})
    assert "dictionary" in str(task_difference(plain, [], task, None))
    assert "dictionary" in str(task_difference(task, [], plain, None))
    change = {"name": "named", "head": "pointer", "task": {"pointer": {"dictionary": "labels"}}}
    comparison = Comparison.model_validate(
        {
            "tasks": [
                {"name": "a", "task": {"kind": "tagging"}},
                {"name": "b", "task": {"kind": "question_answering"}},
            ],
            "strategies": [{"name": "plain"}, change],
        }
    )
    named, asked = (task_of(comparison.strategies[1], one) for one in comparison.tasks)
    assert named.entered
    assert (asked.head, asked.pointer.dictionary) == ("pointer", "none")


def test_a_student_learns_the_entries_of_its_teacher(
    pointer_plan: Callable[..., Plan], ground: Path, tmp_path: Path, listed: Path
) -> None:
    """The teacher's own weights as the student's: whatever windows and padding, both say the same."""
    listed.write_text("entry,type\n" + "\n".join(reversed(ENTRIES.strip().split("\n")[1:])) + "\n")
    plan = pointer_plan(pointer={"dictionary": "gazetteer", "gazetteer": str(listed)}, steps=2, epochs=None)
    assert train(plan, MemoryContext(tmp_path / "run", ground / "cache")) is Outcome.FINISHED
    listed.write_text(ENTRIES)  # the same entries in another order
    prepared = prepare(plan, ground / "cache")
    prepared.release()  # of the words that no row has
    teacher = load_teacher(str(tmp_path / "run"), prepared.task, where="distil.teachers.0.source")
    prepared.model.load_state_dict(teacher.finished.model.state_dict(), strict=False)
    encoded, rows, form = prepared.encoded["gate"], prepared.roles.gate, teacher.form
    assert form is not None
    assert teacher.order.tolist() == [0, 1, 4, 3, 2, 1, 0]
    own = form.read(teacher, rows, encoded)
    kept = kept_of(teacher, rows, encoded, own, teacher.logits(own.features))
    engine = Engine(prepared)
    with engine.scoring():
        said = role_logits(engine.scorer("gate"), encoded)
    sides = compare(form, [1.0], said, [kept], encoded, rows)
    assert sides.agrees.all()
    assert float(sides.apart.max()) < 1e-3
    assert (sides.knows == sides.answers).all()
    told = {said_of(sides, encoded, rows[int(sides.owner[at])], at, "gold") for at in range(len(sides.owner))}
    assert {"none", "PER by anna", "LOC by paris york"} <= told
    right = prepared.task.evaluate(said, encoded, rows).metrics
    pointed = np.array(sides.chosen["student"][0]) == np.array(sides.chosen["gold"][0])
    assert pointed.mean() == pytest.approx(right["pointer_accuracy"])


def test_coverage_of_rows_with_spans(pointer_plan: Callable[..., Plan], ground: Path, listed: Path) -> None:
    """Of spans that nest the outermost ones are what words are taught to point to."""
    rows = [
        {"tokens": ["anna", "in", "paris", "york", str(at)], "spans": [[0, 1, "PER"], [2, 4, "LOC"], [2, 3, "LOC"]]}
        for at in range(30)
    ]
    source = listed.with_name("spans.jsonl")
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = pointer_plan(pointer={"dictionary": "gazetteer", "gazetteer": str(listed)}).model_dump(mode="json")
    values["task"] |= {"gold": "spans", "nested": "outermost"}
    plan = Plan.model_validate(values | {"data": {"source": str(source)}})
    roles = load_roles(plan.data, plan.task, cache=ground / "cache")
    told = roles.report["dictionary"]
    assert told["entities"] == told["covered"] == 2 * len(roles.train)
