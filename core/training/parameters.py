"""Every parameter of a model with a head: name, unit, size. For forms that show what a stage trains."""

from __future__ import annotations

from typing import Any

from core.config import TaskConfig

__all__ = ["model_parameters"]


def model_parameters(
    source: str, revision: str | None, task: TaskConfig, labels: int, keep_layers: int | list[int] | None = None
) -> dict[str, Any]:
    """List the parameters that a plan divides into groups, without reading a weight.

    Parameters
    ----------
    source, revision
        The encoder, as in ``model.source`` and ``model.revision``.
    task
        What is learnt: it decides about the head.
    labels
        Number of labels (tagging: of tags).
    keep_layers
        As in ``model.keep_layers``.

    Returns
    -------
    dict
        ``layers`` (of the encoder), and for each parameter ``names``, ``units`` (``embeddings``, ``layer k``,
        ``head``), ``sizes`` (how many numbers) and ``dimensions``, as lists of one length.

    Raises
    ------
    ModelError
        If there is no such model, it is refused, or transformers cannot build it.
    HubError
        If a hub model cannot be reached.
    ConfigError
        If layers are to be kept that the encoder does not have.
    """
    import torch
    import transformers

    from core.data.tasks import example_labels, task_for
    from core.errors import ModelError
    from core.models import resolve
    from core.models.layers import keep_layers as keep
    from core.models.layers import structure
    from core.models.pointer.classes import model_class
    from core.training.material import parameter_units

    folder = resolve(source, revision).folder
    found = task_for(task, example_labels(task.kind, labels, relations=task.relations))
    try:
        config = transformers.AutoConfig.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True, num_labels=max(2, labels)
        )
        config.pointers = found.model_kwargs().get("pointers")
        with torch.device("meta"):
            model = model_class(found.auto_class).from_config(config)
    except Exception as error:
        raise ModelError(
            f"transformers cannot build this model: {str(error).splitlines()[0][:300] if str(error) else error!r}",
            where=str(folder / "config.json"),
            expected="an encoder that transformers has built in",
        ) from error
    keep(model, keep_layers)
    shape = structure(model)
    units = parameter_units(shape.parts)
    listed = list(model.named_parameters())
    return {
        "layers": len(shape.layers),
        "names": [name for name, _ in listed],
        "units": [units[name] for name, _ in listed],
        "sizes": [parameter.numel() for _, parameter in listed],
        "dimensions": [parameter.ndim for _, parameter in listed],
    }
