from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from tests.tiny import tiny_encoder

DETERMINERS, ADJECTIVES = ("the", "a"), ("good", "bad", "old", "new")
NOUNS, VERBS = ("cat", "dog", "man", "woman", "city"), ("love", "hate", "ran", "read")


def sentence(rng: random.Random) -> tuple[list[str], list[int], list[str]]:
    """The toy grammar: determiner, adjectives and noun on either side of a verb, which is the root."""
    words: list[str] = []
    heads: list[int] = []
    relations: list[str] = []
    nouns: list[int] = []
    for role in ("nsubj", "obj"):
        more = rng.randint(0, 2)
        noun = len(words) + more + 2
        words += [rng.choice(DETERMINERS), *(rng.choice(ADJECTIVES) for _ in range(more)), rng.choice(NOUNS)]
        heads += [noun] * (more + 1) + [-1]
        relations += ["det", *["amod"] * more, role]
        nouns.append(noun)
        if role == "nsubj":
            words.append(rng.choice(VERBS))
            heads.append(0)
            relations.append("root")
    verb = relations.index("root") + 1
    return words, [verb if head < 0 else head for head in heads], relations


def conllu(words: list[str], heads: list[Any], relations: list[str]) -> str:
    lines = [
        f"{number}\t{word}\t_\tX\t_\t_\t{head}\t{relation}\t_\t_"
        for number, (word, head, relation) in enumerate(zip(words, heads, relations, strict=True), 1)
    ]
    return "\n".join(lines) + "\n\n"


@pytest.fixture(scope="session")
def treebank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("trees") / "toy.conllu"
    drawn = {tuple(words): (words, heads, relations) for words, heads, relations in
             (sentence(rng) for _ in range(150))}  # fmt: skip
    path.write_text("".join(conllu(*one) for one in drawn.values()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(family: str = "bert") -> Path:
        if family not in made:
            made[family] = tiny_encoder(tmp_path_factory.mktemp("encoders") / family, family)
        return made[family]

    return get


@pytest.fixture
def tree_plan(treebank: Path, encoders: Callable[[str], Path]) -> Callable[..., Plan]:
    def build(
        family: str = "bert", *, task: dict[str, Any] | None = None, source: Path | None = None, length: int = 32,
        **stage: Any,
    ) -> Plan:  # fmt: skip
        return Plan.model_validate(
            {
                "task": {"kind": "dependency", "stride": 4, **(task or {})},
                "data": {"source": str(source or treebank)},
                "model": {"source": str(encoders(family)), "max_length": length, "dropout": 0.0},
                "stages": [{"epochs": 1, "lr": 3e-3, "batch_size": 16, **stage}],
                "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
            }
        )

    return build
