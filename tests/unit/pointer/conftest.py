from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.training import MemoryContext, Outcome, train
from tests.tiny import tiny_encoder

PEOPLE, PLACES = ("anna", "paul"), ("london", "paris", "berlin", "york")
#: First words of names, and the word that may follow.
NAMES = {"PER": PEOPLE, "LOC": ("london", "paris")}
LATER = {"PER": "inc", "LOC": "york"}
OTHER = "the cat was sad and old film plot story good bad".split()  # noqa: SIM905


def write_names(path: Path, rows: int = 80) -> Path:
    """Sentences with names of one or two words, never side by side: two could not be told from one."""
    rng = random.Random(0)
    with path.open("w") as file:
        for index in range(rows):
            tokens, tags = [], []
            for _ in range(rng.randint(2, 6)):
                kind = rng.choice(["O", "O", "PER", "LOC"])
                if kind != "O":
                    long = rng.random() < 0.5
                    tokens += [rng.choice(NAMES[kind]), *[LATER[kind]] * long]
                    tags += [f"B-{kind}", *[f"I-{kind}"] * long]
                tokens.append(rng.choice(OTHER))
                tags.append("O")
            file.write(json.dumps({"tokens": [*tokens, str(index)], "tags": [*tags, "O"]}) + "\n")
    return path


def write_questions(path: Path, rows: int = 60) -> Path:
    """Who lives where: every third context has no person."""
    rng = random.Random(0)
    with path.open("w") as file:
        for index in range(rows):
            person, place = rng.choice(PEOPLE), rng.choice(PLACES)
            absent = index % 3 == 0
            words = [rng.choice(OTHER) for _ in range(rng.randint(1, 4))]
            context = f"{' '.join(words)} {index} {'man' if absent else person} lives in {place}"
            for question, answer in (("who", None if absent else person), ("where", place)):
                row = {"question": question, "context": context, "answers": [answer] if answer else []}
                file.write(json.dumps(row | {"start": [context.index(answer)] if answer else []}) + "\n")
    return path


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with names.jsonl, asked.jsonl, a cache, and tiny encoders."""
    folder = tmp_path_factory.mktemp("pointer")
    write_names(folder / "names.jsonl")
    write_questions(folder / "asked.jsonl")
    (folder / "cache").mkdir()
    return folder


@pytest.fixture(scope="session")
def pointer_plan(ground: Path) -> Callable[..., Plan]:
    def build(
        kind: str = "tagging", family: str = "bert", *, pointer: dict[str, Any] | None = None,
        head: str = "pointer", runtime: dict[str, Any] | None = None, **stage: Any,
    ) -> Plan:  # fmt: skip
        encoder = ground / family
        if not encoder.exists():
            tiny_encoder(encoder, family)
        asks = kind == "question_answering"
        settings = {"size": 16, "reach": 4, **(pointer or {})}
        task = {"kind": kind, "stride": 4, "head": head, "pointer": settings, **({"no_answer": True} if asks else {})}
        return Plan.model_validate(
            {
                "name": "points", "task": task,
                "data": {"source": str(ground / ("asked.jsonl" if asks else "names.jsonl"))},
                "model": {"source": str(encoder), "max_length": 32},
                "stages": [{"epochs": 1, "lr": 1e-3, "batch_size": 16, **stage}],
                "runtime": {"threads": 1, "precision": "fp32", "device": "cpu", **(runtime or {})},
            }
        )  # fmt: skip

    return build


@pytest.fixture(scope="session")
def trained(ground: Path, pointer_plan: Callable[..., Plan]) -> Callable[[str], Path]:
    """Train a tagger and a question answerer, each once; give the run's folder."""

    def get(kind: str) -> Path:
        folder = ground / f"run-{kind}"
        if not folder.exists():
            plan = pointer_plan(kind, epochs=40, lr=5e-3, head_lr=5e-3, pointer={"sentence_weight": 0.5})
            assert train(plan, MemoryContext(folder, ground / "cache")) is Outcome.FINISHED
        return folder

    return get
