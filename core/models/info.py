"""What a model is, from its config and the headers of its weights: no torch, no transformers, no weight read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.models.origin import read_origin
from core.models.sources import BUNDLED, ResolvedModel, longest_input, read_config, resolve
from core.models.weights import read_headers, weight_files

__all__ = ["ModelInfo", "describe", "describe_resolved"]

_TESTED = frozenset({"bert", "distilbert", "roberta", "electra", "deberta-v2", "modernbert", "shaped_bert"})
_KNOWN = _TESTED | frozenset(
    {"albert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "ernie", "esm", "eurobert", "fnet"}
    | {"funnel", "ibert", "longformer", "megatron-bert", "mobilebert", "mpnet", "mra", "nystromformer", "rembert"}
    | {"roberta-prelayernorm", "roformer", "squeezebert", "xlm-roberta", "xlm-roberta-xl", "xmod", "yoso", "nomic_bert"}
)
_LARGEST_TOKENIZER = 40_000_000
#: A tensor of a layer, by the names that families give to their lists of layers.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|albert_layers|h)\.(\d+)\.")


@dataclass(frozen=True)
class ModelInfo:
    """A model in numbers; None where its config does not say.

    Parameters
    ----------
    source, title
        As the plan names it, and as a person reads it.
    family
        The config's ``model_type``.
    layers, hidden_size, heads, intermediate_size, vocab_size
        Its shape.
    parameters
        Numbers in the weights file (heads of other tasks in the file included).
    max_length
        Sub-words that it reads at most, special pieces included.
    bytes
        Size of the weights on disk.
    language_hint
        ``Chinese``, ``Latin script`` or ``several scripts`` by the share of scripts in its vocabulary; None for
        byte-level vocabularies, which cannot tell.
    labels
        Label names, where the folder holds a trained head.
    warnings
        What a person should know before choosing it.
    origin
        How the folder was made, where it says so: ``pruned``, or ``random`` for weights that nothing has trained.
    layer_parameters
        Numbers in the weights of each layer, lowest first; empty where the tensors' names do not tell.
    """

    source: str
    title: str
    family: str
    layers: int | None
    hidden_size: int | None
    heads: int | None
    intermediate_size: int | None
    vocab_size: int | None
    parameters: int
    max_length: int | None
    bytes: int
    language_hint: str | None = None
    labels: list[str] | None = None
    warnings: list[str] = field(default_factory=list)
    origin: str | None = None
    layer_parameters: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        return asdict(self)


def describe(source: str, revision: str | None = None) -> ModelInfo:
    """Describe a model; see :func:`core.models.resolve` for the sources and errors."""
    return describe_resolved(resolve(source, revision))


def describe_resolved(resolved: ResolvedModel) -> ModelInfo:
    """Describe a model that was found and vetted."""
    config = read_config(resolved.folder)
    files = weight_files(resolved.folder)
    headers = {name: header for file in files for name, header in read_headers(file).items()}
    family = str(config["model_type"])
    hint, lower = _script(resolved.folder / "tokenizer.json")
    warnings = []
    if family not in _KNOWN:
        warnings.append(f"The family {family} is not one that Bertloom knows; it may not load.")
    elif family not in _TESTED:
        warnings.append(f"The family {family} is supported through transformers but not part of Bertloom's tests.")
    halves = {header.dtype for header in headers.values()} & {"F16", "BF16"}
    if halves:
        warnings.append(
            f"The weights are stored in half precision ({', '.join(sorted(halves))}); they are loaded as float32."
        )
    if lower:
        warnings.append(
            "The tokenizer lower-cases texts: names lose their capitals, which costs tagging some accuracy."
        )
    made = read_origin(resolved.folder)
    if made is not None and made[0] == "random":
        warnings.append("The weights are random: this encoder knows nothing yet and learns from your rows alone.")
    return ModelInfo(
        source=resolved.source,
        title="all-MiniLM-L6-v2 (bundled)" if resolved.kind == BUNDLED else _title(resolved),
        family=family,
        layers=_number(config, "num_hidden_layers", "n_layers", "num_layers"),
        hidden_size=_number(config, "hidden_size", "dim", "d_model"),
        heads=_number(config, "num_attention_heads", "n_heads"),
        intermediate_size=_number(config, "intermediate_size", "hidden_dim", "d_ff"),
        vocab_size=_number(config, "vocab_size"),
        parameters=sum(header.size for header in headers.values() if header.dtype not in ("I64", "I32", "BOOL")),
        max_length=longest_input(config),
        bytes=sum(file.stat().st_size for file in files),
        language_hint=hint,
        labels=_labels(config),
        warnings=warnings,
        origin=made[0] if made is not None else None,
        layer_parameters=_layers((name, header.size) for name, header in headers.items()),
    )


def _layers(tensors: Iterable[tuple[str, int]]) -> list[int]:
    found: dict[int, int] = {}
    for name, size in tensors:
        if layer := _LAYER.search(name):
            number = int(layer[1])
            found[number] = found.get(number, 0) + size
    return [found[number] for number in range(len(found))] if set(found) == set(range(len(found))) else []


def _title(resolved: ResolvedModel) -> str:
    if resolved.kind == "hub":
        return resolved.source.removeprefix("hub:")
    # A run's best model always stands in a folder of the name "best": the run's name says more.
    return f"{resolved.folder.parent.name}/best" if resolved.folder.name == "best" else resolved.folder.name


def _number(config: dict[str, Any], *names: str) -> int | None:
    found = (config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)


def _labels(config: dict[str, Any]) -> list[str] | None:
    names = config.get("id2label")
    if not isinstance(names, dict) or all(str(name).startswith("LABEL_") for name in names.values()):
        return None
    return [str(name) for name in names.values()]


def _script(file: Path) -> tuple[str | None, bool]:
    """Return the script that prevails in the vocabulary, and whether the tokenizer lower-cases."""
    if file.stat().st_size > _LARGEST_TOKENIZER:
        return None, False
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = data["model"]["vocab"]
        pieces = list(vocabulary) if isinstance(vocabulary, dict) else [entry[0] for entry in vocabulary]
        normalizer = data.get("normalizer") or {}
        byte_level = '"ByteLevel"' in json.dumps(data.get("pre_tokenizer"))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None, False
    lower = any(
        part.get("lowercase") is True or part.get("type") == "Lowercase"
        for part in normalizer.get("normalizers", [normalizer])
    )
    if byte_level:
        return None, lower
    counts = {"latin": 0, "han": 0, "other": 0}
    for piece in pieces:
        letters = [character for character in str(piece) if character.isalpha()]
        if letters:
            first = ord(letters[0])
            kind = "latin" if first < 0x250 else "han" if 0x3400 <= first <= 0x9FFF else "other"
            counts[kind] += 1
    total = sum(counts.values())
    if not total:
        return None, lower
    if counts["han"] / total > 0.3:
        return "Chinese", lower
    return ("Latin script" if counts["latin"] / total > 0.85 else "several scripts"), lower
