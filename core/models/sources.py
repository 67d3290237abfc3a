"""Where an encoder comes from, and what is refused before anything of it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelError
from core.models.weights import WEIGHTS, read_headers, weight_files

__all__ = [
    "BUNDLED", "ResolvedModel", "longest_input", "read_config", "resolve", "vet_code", "vet_config", "vet_folder",
]  # fmt: skip

#: Name of the encoder that comes with the samples.
BUNDLED = "bundled"
_HUB = "hub:"
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_OTHER = {".onnx": "ONNX", ".h5": "TensorFlow", ".msgpack": "Flax", ".gguf": "GGUF", ".tflite": "TensorFlow Lite"}
# Families whose positions start behind the padding index, so that two of them are never read.
_OWN_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "data2vec-text", "longformer"}
    | {"xmod", "mpnet", "ibert"}
)
# Families of generators by the name in their config; an encoder reads a whole text at once, and these cannot.
# fmt: off
_DECODERS = frozenset({
    "arcee", "bamba", "biogpt", "bitnet", "bloom", "codegen", "cohere", "cohere2", "ctrl", "dbrx", "deepseek_v2",
    "deepseek_v3", "ernie4_5", "exaone4", "falcon", "falcon_h1", "falcon_mamba", "gemma", "gemma2", "gemma3",
    "gemma3_text", "git", "glm", "glm4", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "granite",
    "granitemoe", "helium", "jamba", "jetmoe", "llama", "llama4", "llama4_text", "mamba", "mamba2", "minimax",
    "mistral", "mixtral", "modernbert-decoder", "mpt", "nemotron", "olmo", "olmo2", "olmoe", "openai-gpt", "opt",
    "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "recurrent_gemma", "smollm3",
    "stablelm", "starcoder2", "transfo-xl", "xglm", "xlstm", "zamba", "zamba2",
})
# fmt: on


@dataclass(frozen=True)
class ResolvedModel:
    """A model folder that was found and vetted.

    Parameters
    ----------
    source
        As the plan names it: ``bundled``, a folder, or ``hub:NAME``.
    folder
        Absolute path of the folder with config, tokenizer and safetensors.
    kind
        Kind of source.
    revision
        Hub only: the commit that was downloaded.
    """

    source: str
    folder: Path
    kind: Literal["bundled", "folder", "hub"]
    revision: str | None = None


def resolve(source: str, revision: str | None = None) -> ResolvedModel:
    """Find an encoder and vet its folder; only ``hub:NAME`` uses the network.

    Raises
    ------
    ModelError
        If the folder is missing or is refused; see :func:`vet_folder`.
    HubError
        If a hub model cannot be reached.
    """
    source = source.strip()
    if source == BUNDLED:
        from core.data.samples import bundled_model_folder

        folder = bundled_model_folder()
        vet_folder(folder)
        return ResolvedModel(source, folder.absolute(), "bundled")
    if source.startswith(_HUB):
        from core.models.hub import download

        folder, commit = download(source.removeprefix(_HUB), revision)
        vet_folder(folder)
        return ResolvedModel(source, folder, "hub", commit)
    folder = _local(source)
    vet_folder(folder)
    return ResolvedModel(source, folder, "folder")


def _local(source: str) -> Path:
    if not source or "\0" in source:
        raise ModelError(
            "The model's name is empty or holds a NUL character.", expected="bundled, a folder, or hub:NAME"
        )
    folder = Path(source).expanduser().absolute()
    try:
        if folder.is_dir():
            best = folder / "best"  # a run's folder stands for the model that it made
            return best if not (folder / "config.json").is_file() and (best / "config.json").is_file() else folder
        there = folder.exists()
    except OSError as error:
        raise ModelError(f"The model folder cannot be read: {error.strerror or error}.", where=source) from error
    if there:
        raise ModelError(
            "The model is a file, not a folder.",
            where=str(folder),
            expected=f"a folder with config.json, tokenizer.json and {WEIGHTS}",
        )
    raise ModelError(
        "There is no such model folder.",
        where=str(folder),
        expected="bundled, a folder, or hub:NAME",
        advice=f"If it is a model of the hub, write hub:{source}." if not source.startswith(("/", "~", ".")) else None,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` as a dictionary, or raise :class:`~core.errors.ModelError`."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            "The model folder has no config.json.",
            where=str(folder),
            expected=f"a folder with config.json, tokenizer.json and {WEIGHTS}",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The model's config.json cannot be read: {error}.", where=str(file)) from error
    if not isinstance(config, dict):
        raise ModelError("The model's config.json is not a JSON object.", where=str(file))
    return config


def longest_input(config: dict[str, Any]) -> int | None:
    """Return how many sub-words a model of this config reads, special pieces included; None where it has no limit."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1:
        return None
    if config.get("model_type") in _OWN_POSITIONS:  # their positions start behind the padding index
        positions -= int(config.get("pad_token_id", 1) or 0) + 1
    return positions


def vet_config(config: dict[str, Any], where: str) -> None:
    """Refuse what is not a stock encoder: code of its own, a generator, a family without a name.

    Raises
    ------
    ModelError
        With the reason.
    """
    if config.get("auto_map"):
        raise ModelError(
            "The model brings its own code (auto_map in config.json), and Bertloom runs no code of models.",
            where=where,
            expected="a family that transformers has built in",
            advice="Look for a version of it without custom code.",
        )
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        raise ModelError(
            "config.json does not name the model's family.", where=where, expected="model_type, e.g. bert or roberta"
        )
    names = config.get("architectures") or []
    generator = any("ForCausalLM" in str(name) for name in names) and not _bidirectional(family)
    if family in _DECODERS or config.get("is_decoder") is True or generator:
        raise ModelError(
            f"{family} is a decoder-only model: it generates text and reads from left to right only.",
            where=where,
            expected="an encoder such as BERT, DistilBERT, RoBERTa, ELECTRA, DeBERTa or ModernBERT",
        )
    if config.get("is_encoder_decoder") is True:
        raise ModelError(
            f"{family} is an encoder-decoder model.",
            where=where,
            expected="an encoder such as BERT, DistilBERT, RoBERTa, ELECTRA, DeBERTa or ModernBERT",
        )


def _bidirectional(family: str) -> bool:
    return any(part in family for part in ("bert", "electra", "ernie", "roformer", "mpnet", "xlnet"))


def vet_folder(folder: Path) -> dict[str, Any]:
    """Check a model folder without loading it, and return its config.

    Refused are: a folder without config, weights or tokenizer.json; weights that are pickled only; a safetensors file
    whose header is damaged or that is cut; Python files and ``auto_map`` (code of the model's own); decoders.

    Raises
    ------
    ModelError
        With what is wrong and what to do.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise ModelError(f"The model folder cannot be read: {error.strerror or error}.", where=str(folder)) from error
    if not names:
        raise ModelError(
            "The model folder is empty.",
            where=str(folder),
            expected=f"a folder with config.json, tokenizer.json and {WEIGHTS}",
        )
    config = read_config(folder)
    vet_config(config, str(folder / "config.json"))
    vet_code(folder, names)
    files = weight_files(folder)
    if not files:
        _refuse_weights(folder, names)
    if not any(header for file in files for header in [read_headers(file)]):
        raise ModelError("The weights hold no tensor.", where=str(files[0]))
    if "tokenizer.json" not in names:
        raise ModelError(
            "The model folder has no tokenizer.json.",
            where=str(folder),
            expected="a fast tokenizer, saved as tokenizer.json",
            advice="If it has vocab.txt or another vocabulary, convert it once: "
            "`AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`.",
        )
    return config


def vet_code(folder: Path, names: list[str]) -> None:
    """Refuse a folder with Python files, or whose tokenizer brings code; `names` are those of its files.

    Raises
    ------
    ModelError
        With what was found.
    """
    code = [name for name in names if name.endswith(".py")]
    tokenizer = folder / "tokenizer_config.json"
    mapped = False
    if tokenizer.is_file():
        try:
            settings = json.loads(tokenizer.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"tokenizer_config.json cannot be read: {error}.", where=str(tokenizer)) from error
        mapped = isinstance(settings, dict) and bool(settings.get("auto_map"))
    if code or mapped:
        what = f"Python files ({', '.join(code[:3])})" if code else "auto_map in tokenizer_config.json"
        raise ModelError(
            f"The model folder brings its own code: {what}. Bertloom runs no code of models.",
            where=str(folder),
            advice="If the model is of a family that transformers has built in, remove the code and try again.",
        )


def _refuse_weights(folder: Path, names: list[str]) -> None:
    pickled = [name for name in names if name.endswith(_PICKLED) and name != "training_args.bin"]
    if pickled:
        raise ModelError(
            f"The weights are pickled ({', '.join(pickled[:3])}), and reading a pickle can run hidden code.",
            where=str(folder),
            expected=WEIGHTS,
            advice="If you trust where the file comes from, convert it once, outside Bertloom: "
            "`AutoModel.from_pretrained(folder).save_pretrained(folder)` writes safetensors. "
            "Many hub models have a branch or pull request with safetensors.",
        )
    for ending, kind in _OTHER.items():
        if any(name.endswith(ending) for name in names):
            raise ModelError(f"The weights are in {kind} format.", where=str(folder), expected=WEIGHTS)
    raise ModelError(
        "The model folder has no weights.",
        where=str(folder),
        expected=WEIGHTS,
        advice="It has " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "") + ".",
    )
