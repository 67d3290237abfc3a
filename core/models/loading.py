"""Encoders with a task's head, loaded by stock transformers classes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.config import ModelConfig
from core.data.tasks.base import Task
from core.errors import ModelError
from core.models.layers import keep_layers
from core.models.shaped.register import know
from core.models.sources import ResolvedModel, longest_input, read_config, resolve, vet_folder

__all__ = [
    "build_model",
    "check_length",
    "check_pieces",
    "fresh_weights",
    "load_tokenizer",
    "load_with_head",
    "quiet",
]

_HEAD = re.compile(r"(^|\.)(pooler|classifier|pre_classifier|score|head|qa_outputs|sequence_summary)\b")

# Families that tell two texts apart unless their config says that they do not.
_TYPED = frozenset({"bert", "shaped_bert", "electra", "albert", "ernie", "roformer", "mobilebert", "convbert"})


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the log while the block runs."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(resolved: ResolvedModel | str | Path, *, words: bool = False) -> Any:
    """Load the fast tokenizer of a vetted model.

    Parameters
    ----------
    resolved
        The model (a path is vetted first).
    words
        The tokenizer shall also take texts that are split into words (tagging, dependency): a byte-level one then puts
        a space before each word, and says so in the folder it is saved to.

    Raises
    ------
    ModelError
        If it cannot be loaded.
    """
    from transformers import AutoTokenizer

    if not isinstance(resolved, ResolvedModel):
        vet_folder(Path(resolved))
    folder = resolved.folder if isinstance(resolved, ResolvedModel) else Path(resolved)
    know(read_config(folder))
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
            if words and _glues_words(tokenizer):
                tokenizer = AutoTokenizer.from_pretrained(str(folder), add_prefix_space=True, **options)
                _prefix_space(tokenizer)
    except Exception as error:  # the tokenizers library raises bare Exceptions for damaged files
        raise ModelError(
            f"The model's tokenizer cannot be loaded: {error}",
            where=str(folder / "tokenizer.json"),
            advice="Copy or download the model again.",
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError("The model's tokenizer is not a fast one.", where=str(folder), expected="a tokenizer.json")
    if tokenizer.pad_token_id is None:
        raise ModelError(
            "The model's tokenizer has no padding piece.",
            where=str(folder / "tokenizer_config.json"),
            expected="pad_token",
        )
    if not _reads_types(read_config(folder)):
        # DistilBERT's tokenizer is BERT's and gives types of texts that the model does not take.
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    for name in ("local_files_only", "is_local", "trust_remote_code"):  # how it was loaded is not to be saved with it
        tokenizer.init_kwargs.pop(name, None)
    # A tokenizer.json may carry truncation and padding of its own (sentence encoders do); lengths are ours to set.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def check_length(settings: dict[str, Any], max_length: int) -> None:
    """Raise ModelError if a model with this config does not read inputs of `max_length` sub-words."""
    longest = longest_input(settings)
    if longest is not None and max_length > longest:
        raise ModelError(
            f"The model reads at most {longest} sub-words, and {max_length} are asked for.",
            where="model.max_length",
            expected=f"at most {longest}",
        )


def check_pieces(tokenizer: Any, model: Any, folder: Path) -> None:
    """Raise ModelError if a tokenizer gives pieces that the model has no embedding of."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"The tokenizer has {len(tokenizer)} pieces, the model only {rows}.",
            where=str(folder),
            expected="tokenizer and weights of one model",
        )


def _reads_types(config: dict[str, Any]) -> bool:
    """Tell whether the model tells the two texts of a pair apart by ``token_type_ids``."""
    if config.get("model_type") in _TYPED:
        return int(config.get("type_vocab_size", 2) or 0) > 1
    return int(config.get("type_vocab_size", 0) or 0) > 1


def _glues_words(tokenizer: Any) -> bool:
    """Tell whether the tokenizer is byte-level and puts no space before words that it is given one by one."""
    backend = tokenizer.backend_tokenizer
    state = backend.pre_tokenizer.__getstate__() if backend.pre_tokenizer is not None else b""
    return b'"ByteLevel"' in state and b'"add_prefix_space":false' in state


def _prefix_space(tokenizer: Any) -> None:
    """Set the space in the backend too where the tokenizer's class leaves the pre-tokenizer of the file as it is."""
    import json

    from tokenizers import Tokenizer

    if _glues_words(tokenizer):
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        parts = backend["pre_tokenizer"]
        for part in parts.get("pretokenizers", [parts]):
            if part["type"] == "ByteLevel":
                part["add_prefix_space"] = True
        tokenizer._tokenizer = Tokenizer.from_str(json.dumps(backend))


def build_model(config: ModelConfig, task: Task, *, seed: int) -> tuple[Any, Any]:
    """Load the encoder of a plan with a fresh head for the task.

    Parameters
    ----------
    config
        Source, length and dropout.
    task
        Gives the transformers class and the head's size and label names.
    seed
        Seed of the head. The ambient random state neither counts nor changes.

    Returns
    -------
    (transformers.PreTrainedModel, tokenizer)
        The model in float32 on the CPU, in evaluation mode. A head that the folder holds is kept if its labels are the
        task's own, else it is replaced.

    Raises
    ------
    ModelError
        If the model is refused, does not read texts as long as asked for, or lacks weights of the encoder.
    HubError
        If a hub model cannot be reached.
    """
    from core.models.pointer.entries import give_pieces

    resolved = resolve(config.source, config.revision)
    settings = read_config(resolved.folder)
    check_length(settings, config.max_length)
    model = load_with_head(resolved.folder, task, seed=seed, dropout=config.dropout)
    keep_layers(model, config.keep_layers)
    tokenizer = load_tokenizer(resolved, words=task.kind in ("tagging", "dependency"))
    check_pieces(tokenizer, model, resolved.folder)
    give_pieces(model, tokenizer, config.max_length)
    tokenizer.model_max_length = config.max_length
    return model, tokenizer


def load_with_head(folder: Path, task: Task, *, seed: int, dropout: float | None = None, trained: bool = False) -> Any:
    """Load a vetted folder by the task's transformers class; see :func:`build_model`.

    With `trained` the folder must hold the head too, and nothing is initialised.
    """
    import torch

    from core.models.pointer.classes import model_class

    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = _model_config(folder, task, dropout)
        kept = _same_head(read_config(folder), task)
        try:
            model, report = model_class(task.auto_class).from_pretrained(
                str(folder),
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"The model cannot be loaded with a head for {task.kind}: {_short(error)}",
                where=str(folder),
                expected="an encoder that transformers has built in",
            ) from error
        _check_report(model, report, folder, trained)
        if not kept and not trained:
            torch.manual_seed(seed)
            fresh_weights(model, _head_modules(model))
    _override_dropout(model, dropout)
    return model.eval()


def _model_config(folder: Path, task: Task, dropout: float | None) -> Any:
    from transformers import AutoConfig

    know(read_config(folder))
    try:
        config = AutoConfig.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True, **task.model_kwargs()
        )
        if "pointers" in task.model_kwargs():  # a key that no stock config has
            config.pointers = task.model_kwargs()["pointers"]
    except Exception as error:
        raise ModelError(
            f"transformers does not know this model: {_short(error)}",
            where=str(folder / "config.json"),
            expected="an encoder that transformers has built in",
        ) from error
    if dropout is not None:
        for name, value in config.to_dict().items():
            if "dropout" in name and (value is None or isinstance(value, int | float)) and not isinstance(value, bool):
                setattr(config, name, dropout)
    return config


def _override_dropout(model: Any, dropout: float | None) -> None:
    """Set the modules too: some heads and families take their rate from elsewhere."""
    from torch import nn

    if dropout is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        elif isinstance(getattr(module, "drop_prob", None), float):  # dropouts of transformers' own
            module.drop_prob = dropout


def _same_head(settings: dict[str, Any], task: Task) -> bool:
    """Tell whether a folder's head answers what the task asks. Start and end of answers have no names of their own."""
    from core.models.pointer.entries import known_head

    heads = [known_head(one.get("pointers")) for one in (settings, task.model_kwargs())]  # linear heads have none
    if heads[0] != heads[1]:
        return False
    if task.config.head == "pointer":
        return list(_label_names(settings)) == task.labels
    ending = {"question_answering": "ForQuestionAnswering", "dependency": "ForDependency"}.get(task.kind)
    has = ending is None or any(str(name).endswith(ending) for name in settings.get("architectures") or [])
    if task.kind == "question_answering" or not has:
        return has
    return list(_label_names(settings)) == task.labels


def _label_names(settings: dict[str, Any]) -> Iterator[str]:
    names = settings.get("id2label")
    if isinstance(names, dict):
        for key in sorted(names, key=lambda key: int(key) if str(key).isdigit() else 0):
            yield str(names[key])


def _head_modules(model: Any) -> list[Any]:
    """Return the modules outside the encoder, without a pooler."""
    encoder = model.base_model_prefix
    return [module for name, module in model.named_children() if name not in (encoder, "pooler")]


def fresh_weights(model: Any, modules: list[Any]) -> None:
    """Initialise modules anew as their family does, from the ambient random state."""
    import torch

    for module in modules:
        for part in module.modules():
            part.__dict__.pop("_is_hf_initialized", None)
        for tensor in [*module.parameters(), *module.buffers()]:
            # transformers passes over tensors with this mark, which loading sets.
            if getattr(tensor, "_is_hf_initialized", False):
                del tensor._is_hf_initialized
        with torch.no_grad():
            for part in module.modules():
                model._init_weights(part)


def _check_report(model: Any, report: Any, folder: Path, trained: bool) -> None:
    """Refuse a folder whose weights are not those of the encoder (and trained head) that its config describes."""
    missing = [name for name in report["missing_keys"] if trained or _in_encoder(model, name)]
    different = [item[0] if isinstance(item, tuple) else item for item in report["mismatched_keys"]]
    different = [name for name in different if trained or _in_encoder(model, name)]
    if missing or different:
        names = ", ".join(sorted(different or missing)[:3])
        whole = "model" if trained else "encoder"
        state = "have another shape" if different else "are missing"
        count = len(different or missing)
        raise ModelError(
            f"The weights do not fit config.json: {count} tensors of the {whole} {state} ({names}).",
            where=os.fspath(folder),
            expected="weights and config of one model",
        )


def _in_encoder(model: Any, name: str) -> bool:
    return name.startswith(f"{model.base_model_prefix}.") and not _HEAD.search(name)


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
