"""Encoders of any family with a head that points, as transformers models: saved and loaded as others are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from core.errors import ModelError
from core.models.pointer.entries import entry_inputs, entry_vectors
from core.models.pointer.heads import QuestionPointer, WordPointer
from core.models.pointer.scorer import fresh_parameters
from core.models.pointer.spans import SpanPointer

__all__ = ["HEADS", "AutoModelForPointers", "pointer_class"]

#: What ``config.pointers["points"]`` names → the head.
HEADS: dict[str, type[nn.Module]] = {"words": WordPointer, "question": QuestionPointer, "spans": SpanPointer}
#: How families call the dropout of their heads, the most particular name first.
_DROPOUTS = ("classifier_dropout", "hidden_dropout_prob", "dropout")


class _WithPointer:
    """What is added to a family's base class; ``config.pointers`` says which head and its settings."""

    #: The encoder's class; set by :func:`pointer_class`.
    encoder_class: Any

    def __init__(self, config: Any):
        super().__init__(config)  # type: ignore[call-arg]
        own: Any = self
        takes = inspect.signature(self.encoder_class.__init__).parameters
        pooler = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
        setattr(own, own.base_model_prefix, self.encoder_class(config, **pooler))
        settings = {"dropout": _head_dropout(config), **config.pointers}
        own.pointer = HEADS[settings["points"]](int(config.hidden_size), settings)
        own.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        words: torch.Tensor | None = None,
        context: torch.Tensor | None = None,
        entries: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """Run the encoder and point; `words` or `context` say what can be pointed to, see the heads.

        The entries of a dictionary are encoded first, unless their vectors are given (see :meth:`named`).
        """
        own: Any = self
        if entries is None:  # before the texts: who reads the layers finds what the last pass left
            entries = own.named()
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        output = own.base_model(**{name: value for name, value in inputs.items() if value is not None}, **kwargs)
        targets = {"words": words, "context": context, "entries": entries}
        logits = own.pointer(output[0], **{name: value for name, value in targets.items() if value is not None})
        return TokenClassifierOutput(
            logits=logits, hidden_states=output.get("hidden_states"), attentions=output.get("attentions")
        )

    def named(self, run: Callable[[dict[str, torch.Tensor]], Any] | None = None) -> torch.Tensor | None:
        """Return the vectors of the dictionary's entries, shape (entries, width); None without a dictionary.

        Parameters
        ----------
        run
            Runs the encoder on ``input_ids`` and ``attention_mask``, where that is not its own forward.
        """
        own: Any = self
        inputs = entry_inputs(own)
        if inputs is None:
            return None
        output = own.base_model(**inputs) if run is None else run(inputs)
        return entry_vectors(output[0], inputs["attention_mask"], own.config.pointers["frame"])

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        head = self.__dict__["_modules"].get("pointer")
        if head is None or all(module is not part for part in head.modules()):
            super()._init_weights(module)  # type: ignore[misc]
            return
        bare = nn.Module()  # holds the module's own parameters; those of its children have their own turn
        for name, parameter in module.named_parameters(recurse=False):
            bare.register_parameter(name, parameter)
        fresh_parameters(bare)


def _head_dropout(config: Any) -> float:
    found = (getattr(config, name, None) for name in _DROPOUTS)
    return float(next((value for value in found if isinstance(value, int | float)), 0.0))


def pointer_class(config: Any) -> Any:
    """Return the class of an encoder with a head that points, for a config with ``pointers``.

    Parameters
    ----------
    config
        Config of an encoder that transformers knows.

    Raises
    ------
    ModelError
        If transformers has no encoder for it.
    """
    try:
        found = AutoModel._model_mapping[type(config)]
    except KeyError:
        raise ModelError(
            f"transformers has no encoder of the family {config.model_type}.",
            expected="an encoder that transformers has built in",
        ) from None
    return _built(found[0] if isinstance(found, tuple) else found)


@cache
def _built(encoder: Any) -> Any:
    family = next(
        base for base in encoder.__mro__[1:]
        if issubclass(base, PreTrainedModel) and base.__name__.endswith("PreTrainedModel")
    )  # fmt: skip
    name = f"{encoder.__name__.removesuffix('Model')}ForPointers"
    return type(name, (_WithPointer, family), {"__module__": __name__, "encoder_class": encoder})


class AutoModelForPointers:
    """Loads such models as transformers' ``AutoModelFor…`` classes do theirs."""

    @staticmethod
    def from_pretrained(folder: str, *, config: Any, **options: Any) -> Any:
        """Return the model of a folder, its class chosen by `config`; options as in transformers."""
        options.pop("trust_remote_code", None)  # the class is ours: nothing is looked for in the folder
        return pointer_class(config).from_pretrained(folder, config=config, **options)

    @staticmethod
    def from_config(config: Any) -> Any:
        """Return a model with fresh weights."""
        return pointer_class(config)._from_config(config)
