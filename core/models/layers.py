"""Which parameter belongs to which part of a model: embeddings, layer k, pooler, head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

__all__ = ["SEPARABLE", "Structure", "keep_layers", "kept_layers", "reinit_top", "structure"]

# Families whose encoder calls its layers in order, each once: activations can be cached between them.
_IN_ORDER = frozenset(
    {"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra", "modernbert", "shaped_bert"}
)
#: Families whose layers know nothing of their number, so that some can be taken away.
SEPARABLE = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra"})
_SHARED_BY_LAYERS = frozenset({"deberta", "deberta-v2"})


@dataclass(frozen=True)
class Structure:
    """Parts of an encoder with a head.

    Parameters
    ----------
    encoder
        The encoder: the model without head (``model.base_model``).
    layers
        Its transformer layers, from the bottom.
    parts
        Name of every parameter of the model → ``embeddings``, ``layer.0`` …, ``pooler`` or ``head``. What lies between
        embeddings and first layer, or is read by all layers (DeBERTa's relative positions), counts as embeddings; what
        follows the last layer (a final norm) counts as that layer.
    in_order
        The layers are known to run in order, each exactly once, with nothing between them.
    """

    encoder: nn.Module
    layers: nn.ModuleList
    parts: dict[str, str] = field(repr=False)
    in_order: bool = False

    def names(self, part: str) -> list[str]:
        """Return the names of the parameters of one part."""
        return [name for name, owner in self.parts.items() if owner == part]

    def depth(self, name: str) -> int:
        """Return how high a parameter stands: 0 for embeddings, k + 1 for layer k, number of layers + 1 above them."""
        part = self.parts[name]
        if part == "embeddings":
            return 0
        return int(part.removeprefix("layer.")) + 1 if part.startswith("layer.") else len(self.layers) + 1


def structure(model: PreTrainedModel) -> Structure:
    """Find the parts of a model.

    Tested on BERT, DistilBERT, RoBERTa, ELECTRA, DeBERTa-v2 and ModernBERT; of another family the longest list of
    modules in the encoder is taken for its layers.

    Raises
    ------
    ModelError
        If the encoder has no list of layers.
    """
    from torch import nn

    encoder = model.base_model
    lists = [(name, module) for name, module in encoder.named_modules() if isinstance(module, nn.ModuleList)]
    lists = [(name, module) for name, module in lists if any(True for _ in module.parameters())]
    if not lists:
        raise ModelError(
            f"No transformer layers were found in {type(encoder).__name__}.",
            expected="an encoder with a list of layers",
        )
    path, layers = max(lists, key=lambda item: (len(item[1]), -item[0].count(".")))
    family = str(model.config.model_type)
    prefix = "" if encoder is model else f"{model.base_model_prefix}."
    parts: dict[str, str] = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        if not name.startswith(prefix):
            parts[name] = "pooler" if name.split(".")[0] == "pooler" else "head"
            continue
        parts[name] = _part(name.removeprefix(prefix), path, len(layers), family)
    return Structure(encoder, layers, parts, in_order=family in _IN_ORDER)


def _part(name: str, layers: str, count: int, family: str) -> str:
    """Return the part of a parameter of the encoder."""
    if name.startswith(f"{layers}."):
        return f"layer.{name[len(layers) + 1 :].split('.')[0]}"
    steps = name.split(".")
    if "pooler" in steps:
        return "pooler"
    if family in _SHARED_BY_LAYERS and "conv" in steps:  # it is added to the first layer's output
        return "layer.0"
    final = any("norm" in step.lower() for step in steps) and not any("embed" in step for step in steps)
    if final and family not in _SHARED_BY_LAYERS:
        return f"layer.{count - 1}"
    return "embeddings"  # and what all layers read, such as relative positions: it may only train if all of them may


def kept_layers(chosen: int | list[int] | None, layers: int) -> list[int]:
    """Return which layers of an encoder are kept, from 1, lowest first.

    Parameters
    ----------
    chosen
        How many (n of L: layers ⌈i · L / n⌉, so that the last is among them), which, or None for all.
    layers
        Number of the encoder's layers.

    Raises
    ------
    ConfigError
        If it has fewer.
    """
    if chosen is None:
        return list(range(1, layers + 1))
    most = chosen if isinstance(chosen, int) else max(chosen)
    if most > layers:
        raise ConfigError(
            f"The encoder has {layers} layers, and {'so many as' if isinstance(chosen, int) else 'number'} {most} "
            "shall be kept.", where="model.keep_layers", expected=f"at most {layers}",
        )  # fmt: skip
    if isinstance(chosen, int):
        return [-(-number * layers // chosen) for number in range(1, chosen + 1)]
    return list(chosen)


def keep_layers(model: PreTrainedModel, chosen: int | list[int] | None) -> None:
    """Take away all layers but the chosen ones, and have the model's config say so; see :func:`kept_layers`.

    Raises
    ------
    ConfigError
        If the encoder has fewer layers, or is of a family whose layers depend on each other.
    """
    if chosen is None:
        return
    found = structure(model)
    kept = kept_layers(chosen, len(found.layers))
    if len(kept) == len(found.layers):
        return
    family = str(model.config.model_type)
    if family not in SEPARABLE:
        raise ConfigError(
            f"Layers of a {family} encoder cannot be taken away one by one.", where="model.keep_layers",
            expected=f"an encoder of the family {', '.join(sorted(SEPARABLE))}",
            advice="A smaller shape with weights inherited from it can be made with `bertloom model inherit`.",
        )  # fmt: skip
    for index in reversed(range(len(found.layers))):
        if index + 1 not in kept:
            del found.layers[index]
    model.config.num_hidden_layers = len(kept)


def reinit_top(model: PreTrainedModel, n: int, seed: int) -> None:
    """Initialise the top `n` layers, and with them a pooler, anew under a seed; the ambient random state stays.

    Raises
    ------
    ConfigError
        If the encoder has fewer layers.

    References
    ----------
    Zhang et al. (2021), Revisiting Few-sample BERT Fine-tuning, section 5: re-initialising pooler and top layers.
    """
    import torch

    from core.models.loading import fresh_weights

    if n == 0:
        return
    found = structure(model)
    if n > len(found.layers):
        raise ConfigError(
            f"{n} top layers are to be re-initialised, and the encoder has {len(found.layers)}.",
            where="stages.0.reinit_top_n",
            expected=f"at most {len(found.layers)}",
        )
    modules = list(found.layers[-n:])
    modules += [module for name, module in model.named_modules() if name.split(".")[-1] == "pooler"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh_weights(model, modules)
