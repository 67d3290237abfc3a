"""Students that learn from teachers whose heads point: tagging by pointers and by stretches, and dependency."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from core.config import Plan
from core.errors import ConfigError
from core.models.folders import load_finished
from core.models.trained import task_difference
from core.training import MemoryContext, Outcome, train
from core.training.diary import FILE, read_diary
from core.training.distil.maps import stage_maps
from core.training.distil.opening import open_objective
from core.training.distil.pins import write_pin
from core.training.distil.teacher import Answers
from core.training.engine import Engine
from core.training.plan_check import check_plan
from core.training.prepare import prepare
from tests.tiny import tiny_encoder
from tests.unit.dependency.conftest import conllu, sentence
from tests.unit.pointer.conftest import write_names
from tests.unit.training.test_distil_stage import distil, loss_of
from tests.unit.training.test_resume import Killed, Mortal, same

Build = Callable[..., Plan]
#: Name of a case → its task.
TASKS: dict[str, dict[str, Any]] = {
    "pointers": {
        "kind": "tagging", "head": "pointer", "stride": 4,
        "pointer": {"size": 16, "reach": 4, "type_weight": 0.5, "sentence_weight": 0.5},
    },
    "stretches": {"kind": "tagging", "head": "pointer", "stride": 4, "pointer": {"kind": "global", "size": 16}},
    "trees": {"kind": "dependency", "stride": 4, "pointer": {"size": 16, "reach": 4}},
    "arcs": {"kind": "dependency", "stride": 4, "tree": False, "relations": False, "pointer": {"size": 16, "reach": 4}},
}  # fmt: skip
CASES = pytest.mark.parametrize("case", list(TASKS))
pytestmark = pytest.mark.usefixtures("parts_by_length")
METRICS = {"pointers": "strict_f1", "stretches": "strict_f1", "trees": "las", "arcs": "pointer_accuracy"}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("taught-pointers")
    write_names(root / "names.jsonl", 40)
    rng = random.Random(0)
    drawn = {tuple(one[0]): one for one in (sentence(rng) for _ in range(40))}
    (root / "toy.conllu").write_text("".join(conllu(*one) for one in drawn.values()), encoding="utf-8")
    tiny_encoder(root / "bert")
    tiny_encoder(root / "roberta", "roberta")
    return root


@pytest.fixture
def plan(ground: Path) -> Build:
    def build(
        case: str, *, stage: dict[str, Any] | None = None, family: str = "bert", model: dict[str, Any] | None = None,
        runtime: dict[str, Any] | None = None, task: dict[str, Any] | None = None,
    ) -> Plan:  # fmt: skip
        names = TASKS[case]["kind"] == "tagging"
        return Plan.model_validate(
            {
                "task": TASKS[case] | (task or {}),
                "data": {"source": str(ground / ("names.jsonl" if names else "toy.conllu"))},
                "model": {"source": str(ground / family), "max_length": 14, "dropout": 0.0, **(model or {})},
                "stages": [{"epochs": 1, "lr": 3e-3, "batch_size": 16, **(stage or {})}],
                "runtime": {"threads": 1, "precision": "fp32", "device": "cpu", **(runtime or {})},
            }
        )

    return build


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {}


@pytest.fixture
def learnt(plan: Build, made: dict[str, str], ground: Path) -> Callable[..., str]:
    """Train a teacher once and return its run's folder."""

    def get(case: str, family: str = "bert", length: int = 14) -> str:
        name = f"{case}-{family}-{length}"
        if name not in made:
            context = MemoryContext(ground / f"teacher-{name}", ground / "cache")
            stage = {"epochs": 4, "eval_every": 100, "lr": 6e-3} if family == "bert" else {"steps": 2}
            what = plan(case, stage=stage, family=family, model={"max_length": length})
            assert train(what, context) is Outcome.FINISHED
            made[name] = str(context.folder)
        return made[name]

    return get


@pytest.fixture
def opened(plan: Build, tmp_path: Path) -> Callable[..., Any]:
    def build(case: str, stage: dict[str, Any], **options: Any) -> Any:
        prepared = prepare(plan(case, stage=stage, **options), tmp_path / "cache")
        engine = Engine(prepared)
        engine.objective = open_objective(engine, tmp_path / "cache", where="stages.0", maps=stage_maps(prepared))
        engine.train_mode()
        return prepared, engine, engine.objective

    return build


def words_of(engine: Engine, objective: Any, indices: np.ndarray) -> Iterator[tuple[Any, Any, dict[str, Any], int]]:
    """Yield student, teacher (one word's logits without padding), its feature, and its place, of words that count."""
    prepared = engine.prepared
    features = [prepared.encoded["train"].features[at] for at in indices]
    with torch.no_grad(), engine.scoring():
        student, batch = engine.forward(features, indices, "train")
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        teacher = objective.teachers[0].finished.model(**inputs).logits
    for at, feature in enumerate(features):
        for place in np.flatnonzero(feature["own"]):
            counts = "spans" in feature or feature["labels"][place][0] >= 0
            if counts:
                yield student[at, place].double().numpy(), teacher[at, place].double().numpy(), feature, int(place)


def divergence_of(case: str, pair: tuple[Any, Any], feature: dict[str, Any], place: int, heat: float) -> float:
    """Return T² KL of one word's parts by hand: pointer, then type (as far as something is pointed to), relation."""
    words, width = len(feature["words"]), 0
    if case == "stretches":
        types = feature["spans"]
        left, right = (expit(one.reshape(-1, types)[place:words] / heat) for one in (pair[1], pair[0]))
        each = left * np.log(left / right) + (1 - left) * np.log((1 - left) / (1 - right))
        return float(heat**2 * each.sum() / types)
    extra = {"pointers": 4, "trees": 5, "arcs": 0}[case]
    width = len(pair[0]) - 1 - extra

    def kl(begin: int, end: int, skip: int | None = None) -> float:
        sides = [np.delete(one[begin:end], skip) if skip is not None else one[begin:end] for one in (pair[1], pair[0])]
        left, right = (log_softmax(one / heat) for one in sides)
        return float(heat**2 * (np.exp(left) * (left - right)).sum())

    itself = 1 + place if case == "trees" else None
    total = kl(0, 1 + words, itself)
    begin = 1 + width
    if case == "trees":
        return total + kl(begin, begin + 5)
    if case == "pointers":
        total += 0.5 * (1 - softmax(pair[1][: 1 + words])[0]) * kl(begin, begin + 2)
        left, right = (expit(one[begin + 2 : begin + 4] / heat) for one in (pair[1], pair[0]))
        each = left * np.log(left / right) + (1 - left) * np.log((1 - left) / (1 - right))
        total += 0.5 * heat**2 * float(each.mean())
    return total


@CASES
def test_the_loss_is_what_the_formula_says(
    case: str, opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:  # fmt: skip
    prepared, engine, objective = opened(
        case, distil(learnt(case), alpha=0.4, temperature=2.0), runtime={"seed": 3}
    )  # fmt: skip
    indices = np.arange(16)
    loss = loss_of(engine, indices)
    loss.backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert all(one.grad is None for one in objective.teachers[0].finished.model.parameters())
    listed = list(words_of(engine, objective, indices))
    soft = np.mean([divergence_of(case, (one, other), feature, at, 2.0) for one, other, feature, at in listed])
    assert told["distil/soft"] == pytest.approx(soft, rel=3e-3)
    features = [prepared.encoded["train"].features[at] for at in indices]
    with torch.no_grad(), engine.scoring():
        logits, batch = engine.forward(features, indices, "train")
    total, weight = prepared.task.loss(logits, batch["labels"])
    assert told["distil/gold"] == pytest.approx((total / weight).item(), rel=1e-5)
    assert loss.item() == pytest.approx(0.6 * told["distil/gold"] + 0.4 * told["distil/soft"], rel=1e-5)
    assert sum(
        told[f"distil/{name}"] for name in ("teachable", "harmful", "both_wrong", "both_right")
    ) == pytest.approx(1.0, abs=1e-5)


@CASES
def test_without_differences_it_is_plain_and_padding_never_counts(
    case: str, opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:
    indices, found = np.arange(8), []
    options: list[dict[str, Any]] = [{}, {"differences": 0.0, "sharpness": 7.0}, {"differences": 0.8}]
    for others in options:
        _, engine, _ = opened(case, distil(learnt(case), **others), runtime={"seed": 3})
        loss = loss_of(engine, indices)
        loss.backward()
        gradients = [one.grad.clone() for one in engine.prepared.parameters.values() if one.grad is not None]
        found.append((loss.detach(), gradients))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    assert not torch.equal(found[0][0], found[2][0])
    _, engine, _ = opened(case, distil(learnt(case), alpha=1.0, differences=0.0), runtime={"seed": 3})
    alone = [loss_of(engine, np.asarray([at])).item() for at in indices]
    counts = [len(list(words_of(engine, engine.objective, np.asarray([at])))) for at in indices]
    together = loss_of(engine, indices).item()  # the longer ones pad the others: by sub-words and by words
    assert together == pytest.approx(float(np.average(alone, weights=counts)), rel=1e-4)


@CASES
def test_the_teacher_itself_has_nothing_to_learn(
    case: str, opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:  # fmt: skip
    stage = distil(learnt(case), alpha=1.0, states=[{"kind": "hidden", "layers": "last"}])
    _, engine, objective = opened(case, stage, model={"source": f"{learnt(case)}/best"})
    loss_of(engine, np.arange(12)).backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert abs(told["distil/soft"]) < 2e-4  # half precision of the answers
    assert abs(told["distil/hidden"]) < 1e-6
    assert told["distil/agreement"] == 1.0
    assert told["distil/harmful"] == told["distil/teachable"] == 0.0


@CASES
def test_kept_answers_are_those_that_the_teacher_gives(
    case: str, opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:  # fmt: skip
    prepared, engine, objective = opened(case, distil(learnt(case), temperature=1.0, alpha=1.0))
    kept = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16)]
    (own,), teacher = objective.answers, objective.teachers[0]
    assert own.values.dtype == np.float16
    exact = np.full(own.values.shape, np.nan, dtype=np.float32)
    read = teacher.form.read(teacher, prepared.roles.train, prepared.encoded["train"])
    for at, feature in enumerate(read.features):
        teacher.form.put(exact, own.places, read, at, teacher.logits([feature])[0])
    objective.answers = [Answers(exact, own.places)]
    fresh = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16)]
    assert kept == pytest.approx(fresh, rel=2e-3)
    assert int(np.isfinite(exact).sum()) == exact.size  # every word is answered


@pytest.mark.parametrize("case", ["pointers", "stretches", "trees"])
def test_harmful_words_can_be_dropped(case: str, opened: Callable[..., Any], learnt: Callable[..., str]) -> None:
    indices = np.arange(24)
    stage = distil(learnt(case), alpha=1.0, temperature=1.0, harmful="drop")
    _, engine, objective = opened(case, stage, model={"source": f"{learnt(case)}/best"})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # a student that is right where its teacher is not, and the other way round
        for one in engine.prepared.parameters.values():
            one.add_(0.4 * one.std(correction=0) * torch.randn(one.shape, generator=generator))
    found = loss_of(engine, indices).item()
    told = objective.take()
    each, counts = [], []
    for student, teacher, feature, place in words_of(engine, objective, indices):
        each.append(divergence_of(case, (student, teacher), feature, place, 1.0))
        knows, answers = (right(case, one, feature, place) for one in (teacher, student))
        counts.append(knows or not answers)
    assert told["distil/harmful"].item() == pytest.approx(1 - np.mean(counts), abs=1e-6)
    assert found == pytest.approx(np.mean(np.asarray(each)[counts]), rel=3e-3)


def right(case: str, one: np.ndarray, feature: dict[str, Any], place: int) -> bool:
    words = len(feature["words"])
    if case == "stretches":
        types = feature["spans"]
        said = {
            (last, kind) for last, kind in np.argwhere(one.reshape(-1, types)[:words] > 0).tolist() if last >= place
        }
        return said == {(last, kind) for first, last, kind in feature["labels"] if first == place}
    gold = feature["labels"][place]
    extra = {"pointers": 4, "trees": 5, "arcs": 0}[case]
    begin = len(one) - extra
    if int(one[: 1 + words].argmax()) != gold[0]:
        return False
    size = {"pointers": 2, "trees": 5, "arcs": 0}[case]
    return size == 0 or gold[1] < 0 or int(one[begin : begin + size].argmax()) == gold[1]


@CASES
def test_a_student_learns_and_the_run_says_all_of_it(
    case: str, plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    source = learnt(case)
    stage = {**distil(source, alpha=1.0, differences=0.5), "epochs": 3, "eval_every": 4, "lr": 5e-3}
    context = MemoryContext(tmp_path / "run", ground / "cache")
    context.folder.mkdir()
    words = "the cat was anna inc" if TASKS[case]["kind"] == "tagging" else "the old cat love a dog"
    pin = write_pin(context.folder, words, tagging=True)
    assert train(plan(case, stage=stage, runtime={"seed": 5}), context) is Outcome.FINISHED
    divergence = context.series("distil/divergence")
    assert divergence[-1][1] < 0.8 * divergence[0][1]
    results = json.loads((context.folder / "results.json").read_text())
    (own,) = results["teachers"]
    taught = json.loads((Path(source) / "results.json").read_text())
    assert own["metrics"] == pytest.approx(taught["metrics"], rel=1e-5)
    lost = own["lost"]["test"]
    assert lost["of"] == results["details"]["test"]["n"]
    for one in lost["examples"]:
        assert all(word["gold"] == word["teacher"] != word["student"] for word in one["words"])

    entries = read_diary(context.folder / FILE)["entries"]
    gaps = [one for one in entries if one["kind"] == "gaps"][-1]
    assert gaps["by"] == "position"
    assert sum(gaps["quadrants"].values()) == gaps["n"]
    for name in ("label", "place"):
        assert sum(one[1] for one in gaps[name]) == gaps["n"]
        assert sum(one[1] * one[2] for one in gaps[name]) / gaps["n"] == pytest.approx(gaps["divergence"], abs=1e-4)
    first = gaps["most"][0]
    assert len(first["gold"]) == len(first["student"]) == len(first["tokens"])
    assert context.series("distil/gate_divergence")[-1][1] == gaps["divergence"]
    assert sum(one[1] for one in gaps["part"]) == gaps["n"]
    if case == "arcs":
        share = (gaps["quadrants"]["both_right"] + gaps["quadrants"]["harmful"]) / gaps["n"]
        assert share == pytest.approx(context.series("gate/pointer_accuracy")[-1][1], abs=1e-6)

    (head,) = [one for one in entries if one["kind"] == "pin"]
    strips = [one for one in entries if one["kind"] == "strip" and one["pin"] == pin.id]
    assert [one for one in head["parts"] if "," not in one] == pin.tokens
    assert all(len(one["d"]) == len(head["parts"]) == len(one["student"]) for one in strips)
    assert all(head["classes"][option] for line in head["teacher"] for option, _ in line)
    if case == "trees":
        assert [one for one in head["parts"] if one.endswith(", relation")] == [
            f"{one}, relation" for one in pin.tokens
        ]
        assert head["classes"][:2] == ["root", "the 1"]


@pytest.mark.parametrize("case", ["pointers", "stretches", "trees"])
def test_a_teacher_with_another_tokeniser_and_other_windows_is_understood(
    case: str, plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    source = learnt(case, family="roberta", length=40)
    context = MemoryContext(tmp_path / "run", ground / "cache")
    stage = {**distil(source, alpha=1.0), "epochs": 2, "eval_every": 100, "lr": 5e-3}
    assert train(plan(case, stage=stage, model={"max_length": 8}, runtime={"seed": 5}), context) is Outcome.FINISHED
    divergence = context.series("distil/divergence")
    assert divergence[-1][1] < divergence[0][1]


@pytest.mark.parametrize("case", ["trees"])
def test_killed_and_resumed_is_bit_for_bit_the_same(
    case: str, plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    what = plan(
        case, stage={**distil(learnt(case), differences=0.8, harmful="drop"), "epochs": 3}, model={"dropout": 0.1},
        runtime={"keep": "all", "checkpoint_every_steps": 2, "log_every": 2, "seed": 2},
    )  # fmt: skip
    calm = MemoryContext(tmp_path / "calm", ground / "cache")
    assert train(what, calm) is Outcome.FINISHED
    broken = Mortal(tmp_path / "broken", ground / "cache", dies_at=3)
    with pytest.raises(Killed):
        train(what, broken)
    assert train(what, broken) is Outcome.FINISHED
    same(calm, broken)


def test_labels_in_another_order_and_under_other_names_are_put_right(
    plan: Build, learnt: Callable[..., str], ground: Path, tmp_path: Path
) -> None:
    rows = (ground / "names.jsonl").read_text().replace("-LOC", "-ZONE").replace("-PER", "-WHO")
    (tmp_path / "renamed.jsonl").write_text(rows)
    data = plan("pointers").model_dump()
    data["data"]["source"] = str(tmp_path / "renamed.jsonl")
    data["stages"][0] |= distil(learnt("pointers"), alpha=1.0)
    with pytest.raises(ConfigError, match="only in the data: WHO, ZONE; only the teacher's: LOC, PER"):
        train(Plan.model_validate(data), MemoryContext(tmp_path / "refused", ground / "cache"))
    data["stages"][0]["distil"]["teachers"][0]["labels"] = {"LOC": "ZONE", "PER": "WHO"}
    context = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(Plan.model_validate(data), context) is Outcome.FINISHED
    (own,) = json.loads((context.folder / "results.json").read_text())["teachers"]
    taught = json.loads((Path(learnt("pointers")) / "results.json").read_text())
    assert own["metrics"] == pytest.approx(taught["metrics"], rel=1e-5)  # types stand the other way round now


@pytest.mark.parametrize(
    ("teacher", "student", "words"),
    [
        ({"kind": "tagging"}, TASKS["pointers"], "says a label of each word or text, and the student points"),
        (TASKS["pointers"], {"kind": "tagging"}, "points from word to word, and the student says a label"),
        (TASKS["stretches"], TASKS["pointers"], "scores stretches of words, and the student points"),
        ({"kind": "tagging", "head": "pointer"}, TASKS["pointers"], "the teacher does not say it"),
        (TASKS["arcs"], TASKS["trees"], r"student forms trees \(task.tree\), and the teacher does not"),
        ({**TASKS["arcs"], "tree": True}, TASKS["trees"], "student names relations"),
        (TASKS["pointers"], {"kind": "tagging", "head": "pointer"}, None),
        ({"kind": "question_answering", "head": "pointer"}, {"kind": "question_answering"}, None),
    ],
)
def test_answers_that_cannot_be_compared_are_refused(
    teacher: dict[str, Any], student: dict[str, Any], words: str | None
) -> None:
    import re

    from core.config import TaskConfig

    found = task_difference(
        TaskConfig.model_validate(teacher), ["O"], TaskConfig.model_validate(student), None
    )  # fmt: skip
    assert found is None if words is None else re.search(words, found or "")


@CASES
def test_the_speed_of_a_model_can_be_measured_on_pieces_alone(case: str, learnt: Callable[..., str]) -> None:
    model = load_finished(Path(learnt(case)) / "best").model
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        alone = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        words = model(input_ids=ids, attention_mask=torch.ones_like(ids), words=torch.arange(9).expand(2, -1)).logits
    assert alone.shape[:2] == (2, 9)
    assert torch.equal(alone, words)


def test_a_sound_plan_has_no_error(plan: Build, learnt: Callable[..., str], ground: Path) -> None:
    for case in TASKS:
        source = learnt(case)
        what = plan(case, stage=distil(source), model={"source": f"{source}/best", "keep_layers": 1})
        assert check_plan(what, cache=ground / "cache")["findings"] == []
