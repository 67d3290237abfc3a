"""Makes shaped encoders known to transformers' Auto classes in this process. No remote code is involved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["know", "register"]

MODEL_TYPE = "shaped_bert"


def know(settings: Mapping[str, Any]) -> None:
    """Register the models if a folder's config is a shaped encoder's; cheap for all others.

    Parameters
    ----------
    settings
        What config.json holds.
    """
    if settings.get("model_type") == MODEL_TYPE:
        register()


@cache
def register() -> None:
    """Register config and models; a second call does nothing."""
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForMaskedLM,
        AutoModelForMultipleChoice,
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    from core.models.shaped import modeling
    from core.models.shaped.configuration import ShapedBertConfig

    AutoConfig.register(MODEL_TYPE, ShapedBertConfig)
    for auto, model in (
        (AutoModel, modeling.ShapedBertModel),
        (AutoModelForMaskedLM, modeling.ShapedBertForMaskedLM),
        (AutoModelForMultipleChoice, modeling.ShapedBertForMultipleChoice),
        (AutoModelForQuestionAnswering, modeling.ShapedBertForQuestionAnswering),
        (AutoModelForSequenceClassification, modeling.ShapedBertForSequenceClassification),
        (AutoModelForTokenClassification, modeling.ShapedBertForTokenClassification),
    ):
        auto.register(ShapedBertConfig, model)
