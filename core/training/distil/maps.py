"""Learned linear maps from the student's widths to the teacher's, through which their states are compared.

As in TinyBERT (Jiao et al. 2020, equations 8 and 9) one matrix serves all pairs of layers of a loss; where layers of a
student differ in width, one for each width. The stage's optimiser trains them, checkpoints and restore points hold
them, and no model that is saved does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from core.config import Stage
from core.config.distillation import StateLoss
from core.training.distil.pairs import Pairs, layer_pairs
from core.training.distil.sizes import Sizes, sizes_of, stored_sizes
from core.training.groups import GroupSpec

if TYPE_CHECKING:
    from core.training.prepare import Prepared

__all__ = ["GROUP", "PREFIX", "map_group", "map_name", "needed_maps", "new_maps", "stage_maps"]

#: Name of the maps' parameter group, and what the names of all maps begin with.
GROUP, PREFIX = "learned maps", "distil.map."


def map_name(number: int, own: int, other: int) -> str:
    """Return the name of the map of loss `number` (from 0) from width `own` to width `other`."""
    return f"{PREFIX}{number}.{own}x{other}"


def needed_maps(states: Sequence[StateLoss], student: Sizes, teacher: Sizes) -> dict[str, tuple[int, int]]:
    """Return which maps the losses need: name → width of the student's states, width of the teacher's.

    Parameters
    ----------
    states
        The losses. Pairs that are not there are left out here; they are refused when the stage begins.
    student, teacher
        Their sizes.
    """
    found: dict[str, tuple[int, int]] = {}
    for number, config in enumerate(states):
        if config.kind not in ("hidden", "embedding") or config.map == "none":
            continue
        for own, other in _pairs(config, student.layers, teacher.layers):
            widths = student.hidden[own], teacher.hidden[other]
            if config.map == "linear" or widths[0] != widths[1]:
                found[map_name(number, *widths)] = widths
    return found


def _pairs(config: StateLoss, student: int, teacher: int) -> Pairs:
    if config.kind == "embedding":
        return [(0, 0)]
    if config.layers == "cka":  # which layers they will be is found later; any of them may meet
        return [(own, other) for own in range(1, student + 1) for other in range(1, teacher + 1)]
    try:
        return layer_pairs(config.layers, student, teacher)
    except ValueError:
        return []


def new_maps(needed: dict[str, tuple[int, int]], seed: int, device: torch.device) -> dict[str, torch.nn.Parameter]:
    """Return maps as they are before training, each of shape (teacher's width, student's width).

    Between equal widths a map begins as the identity, so that nothing is lost where student and teacher are one;
    otherwise as a random matrix whose shorter side is orthonormal, which keeps lengths when it widens.

    Parameters
    ----------
    needed
        What :func:`needed_maps` returned.
    seed
        Of the stage. The ambient random state is neither read nor changed.
    device
        Where they shall be.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, (own, other) in needed.items():
        matrix = torch.eye(other)
        if own != other:
            matrix = torch.nn.init.orthogonal_(torch.empty(other, own), generator=generator)
        found[name] = torch.nn.Parameter(matrix.to(device))
    return found


def map_group(stage: Stage, maps: dict[str, torch.nn.Parameter]) -> list[GroupSpec]:
    """Return the maps' parameter group: none without maps. A map has no weight decay."""
    if not maps or stage.distil is None:
        return []
    rate = stage.distil.maps_lr or stage.head_lr or stage.lr
    return [GroupSpec(GROUP, rate, 0.0, list(maps))]


def stage_maps(prepared: Prepared, where: str | None = None) -> dict[str, torch.nn.Parameter]:
    """Return the maps of a stage, from the sizes of its student and of its first teacher.

    Parameters
    ----------
    prepared
        The stage.
    where
        Its path in the plan, if it is not the material's.

    Raises
    ------
    BertloomError
        If the teacher's folder cannot be read.
    """
    config = prepared.stage.distil
    if config is None or not any(one.kind in ("hidden", "embedding") and one.map != "none" for one in config.states):
        return {}
    from core.training.distil.teacher import teacher_folder

    place = f"{where or prepared.material.where(prepared.index)}.distil.teachers.0.source"
    teacher = stored_sizes(teacher_folder(config.teachers[0].source, where=place).folder)
    student = sizes_of(prepared.model.config, len(prepared.layers))
    return new_maps(needed_maps(config.states, student, teacher), prepared.seed, prepared.device)
