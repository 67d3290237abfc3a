from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config.joint import JointPlan
from core.training import MemoryContext
from tests.tiny import tiny_encoder
from tests.unit.training.conftest import write_reviews, write_tags

PLACES = ("london", "paris", "berlin")


def write_questions(path: Path, rows: int = 40) -> Path:
    """Who lives where, each context with a number of its own."""
    rng = random.Random(0)
    with path.open("w") as file:
        for index in range(rows):
            place = rng.choice(PLACES)
            context = f"cat and dog {1000 + index} anna lives in {place}"
            row = {"question": "where", "context": context, "answers": [place], "start": [context.index(place)]}
            file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="session")
def joint_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint-data")
    write_reviews(folder / "reviews.csv", 80)
    write_tags(folder / "tags.jsonl", 50)
    write_questions(folder / "asked.jsonl")
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("joint-encoder") / "bert", hidden=16, intermediate=32)


@pytest.fixture(scope="session")
def joint_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("joint-cache")


@pytest.fixture
def joint(joint_data: Path, encoder: Path) -> Callable[..., JointPlan]:
    """Build a joint plan of some tasks; `tasks` maps a name to what differs from its usual settings."""
    usual: dict[str, dict[str, Any]] = {
        "mood": {"data": {"source": str(joint_data / "reviews.csv")}},
        "names": {
            "task": {"kind": "tagging", "stride": 4}, "data": {"source": str(joint_data / "tags.jsonl")},
        },
        "where": {
            "task": {"kind": "question_answering", "stride": 4},
            "data": {"source": str(joint_data / "asked.jsonl")}, "max_length": 40,
        },
    }  # fmt: skip

    def build(*names: str, tasks: dict[str, dict[str, Any]] | None = None, **parts: Any) -> JointPlan:
        changed = tasks or {}
        return JointPlan.model_validate(
            {
                "tasks": [{"name": name, **usual[name], **changed.get(name, {})} for name in names],
                "model": {"source": str(encoder), "max_length": 32},
                "training": {"lr": 1e-3, "batch_size": 16, **parts.pop("training", {})},
                "runtime": {
                    "threads": 1, "precision": "fp32", "device": "cpu", "keep": "all", **parts.pop("runtime", {}),
                },
                **parts,
            }
        )  # fmt: skip

    return build


@pytest.fixture
def fresh(tmp_path: Path, joint_cache: Path) -> Callable[..., MemoryContext]:
    def make(name: str = "run", **options: Any) -> MemoryContext:
        return MemoryContext(tmp_path / name, joint_cache, **options)

    return make
