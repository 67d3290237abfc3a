from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.training import MemoryContext, Outcome, train
from core.training.distil.maps import stage_maps
from core.training.distil.opening import open_objective
from core.training.engine import Engine
from core.training.prepare import prepare

GOOD = ["good", "great", "fun", "love", "best"]
BAD = ["bad", "awful", "dull", "hate", "worst"]
OTHER = [
    "the",
    "a",
    "film",
    "movie",
    "plot",
    "story",
    "actor",
    "was",
    "is",
    "very",
    "too",
    "city",
    "river",
    "house",
    "day",
    "night",
]


def write_reviews(path: Path, rows: int = 120, seed: int = 0) -> Path:
    """Sentences whose label follows from one word, each with a number so that none repeats."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(rows):
            good = index % 2 == 0
            words = [rng.choice(OTHER) for _ in range(rng.randint(2, 14))] + [
                rng.choice(GOOD if good else BAD),
                str(index),
            ]
            rng.shuffle(words)
            writer.writerow([" ".join(words), "pos" if good else "neg"])
    return path


def write_tags(path: Path, rows: int = 90, seed: int = 0) -> Path:
    rng = random.Random(seed)
    people, places = ["anna", "paul"], ["london", "paris", "berlin"]
    with path.open("w") as file:
        for index in range(rows):
            tokens, tags = [], []
            for _ in range(rng.randint(3, 12)):
                kind = rng.random()
                if kind < 0.2:
                    tokens.append(rng.choice(people))
                    tags.append("B-PER")
                elif kind < 0.4:
                    tokens.append(rng.choice(places))
                    tags.append("B-LOC")
                else:
                    tokens.append(rng.choice(OTHER))
                    tags.append("O")
            tokens.append(str(index))
            tags.append("O")
            file.write(json.dumps({"tokens": tokens, "tags": tags}) + "\n")
    return path


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with reviews.csv and tags.jsonl."""
    folder = tmp_path_factory.mktemp("training-data")
    write_reviews(folder / "reviews.csv")
    write_tags(folder / "tags.jsonl")
    return folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Tiny encoders by family, each made once."""
    from tests.tiny import tiny_encoder

    root = tmp_path_factory.mktemp("encoders")
    made: dict[str, Path] = {}

    def get(family: str = "bert", **shape: Any) -> Path:
        name = family + "".join(f"-{key}{value}" for key, value in sorted(shape.items()))
        if name not in made:
            made[name] = tiny_encoder(root / name, family, **shape)
        return made[name]

    return get


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make_plan(material: Path, encoders: Callable[..., Path]) -> Callable[..., Plan]:
    """Build a plan: `stage` (or `stages`) and `runtime` override, `family` names the encoder, `tagging` the task."""

    def build(
        *,
        family: str = "bert",
        tagging: bool = False,
        stage: dict[str, Any] | None = None,
        stages: list[dict[str, Any]] | None = None,
        runtime: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        shape: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
    ) -> Plan:
        return Plan(
            task={"kind": "tagging", "stride": 4} if tagging else {},
            data={"source": str(material / ("tags.jsonl" if tagging else "reviews.csv")), **(data or {})},
            model={"source": str(encoders(family, **(shape or {}))), "max_length": 32, **(model or {})},
            stages=[{"epochs": 2, "lr": 1e-3, "batch_size": 16, **one} for one in stages or [stage or {}]],
            runtime={"threads": 1, "precision": "fp32", "device": "cpu", **(runtime or {})},
        )

    return build


@pytest.fixture
def context(tmp_path: Path, shared_cache: Path) -> MemoryContext:
    return MemoryContext(tmp_path / "run", shared_cache)


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {}


@pytest.fixture
def teacher(
    make_plan: Callable[..., Plan],
    teachers: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
) -> Callable[..., str]:
    """Train a teacher once and return its run's folder."""

    def get(*, tagging: bool = False, **options: Any) -> str:
        name = json.dumps([tagging, options], sort_keys=True)
        if name not in teachers:
            context = MemoryContext(tmp_path_factory.mktemp("teacher") / "run", shared_cache)
            assert (
                train(make_plan(tagging=tagging, stage={"epochs": 6, "lr": 5e-3}, **options), context)
                is Outcome.FINISHED
            )
            teachers[name] = context.folder
        return str(teachers[name])

    return get


@pytest.fixture
def opened(make_plan: Callable[..., Plan], tmp_path: Path) -> Callable[..., Any]:
    """Build a distilled stage without dropout: (prepared, engine, objective)."""

    def build(stage: dict[str, Any], **options: Any) -> Any:
        model = {"dropout": 0.0, **options.pop("model", {})}
        prepared = prepare(make_plan(stage=stage, model=model, **options), tmp_path / "cache")
        engine = Engine(prepared)
        engine.objective = open_objective(engine, tmp_path / "cache", where="stages.0", maps=stage_maps(prepared))
        engine.train_mode()
        return prepared, engine, engine.objective

    return build
