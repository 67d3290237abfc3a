"""The colours can be told apart by everybody, and the server's theme repeats them."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from core.runs.records import Status
from pages.ui.theme import BACKGROUND, CATEGORICAL, ROLES, STATUS_LOOKS, Mode, role_colour

CONFIG = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = (to_xyz @ rgb) / np.array([0.95047, 1.0, 1.08883])
    part = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * part[1] - 16, 500 * (part[0] - part[1]), 200 * (part[1] - part[2])])


def contrast(one: str, other: str) -> float:
    light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (one, other))
    return light[1] / light[0]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_can_be_told_apart(mode: Mode, vision: str) -> None:
    seen = {colour: lab(np.clip(VISIONS[vision] @ linear(colour), 0, 1)) for colour in CATEGORICAL[mode]}
    closest = min((float(np.linalg.norm(seen[a] - seen[b])), a, b) for a, b in itertools.combinations(seen, 2))
    assert closest[0] >= 15, closest


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_colour_stands_out_from_its_background(mode: Mode) -> None:
    assert min(contrast(colour, BACKGROUND[mode]) for colour in CATEGORICAL[mode]) >= 3


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_buttons_reach_contrast_aa(mode: Mode) -> None:
    theme = CONFIG["theme"][mode]
    assert contrast(theme["textColor"], theme["backgroundColor"]) >= 7
    assert contrast(theme["textColor"], theme["secondaryBackgroundColor"]) >= 4.5
    assert contrast("#FFFFFF", theme["primaryColor"]) >= 4.5
    assert contrast(theme["linkColor"], theme["backgroundColor"]) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_server_theme_has_the_same_ten_colours(mode: Mode) -> None:
    assert tuple(CONFIG["theme"][mode]["chartCategoricalColors"]) == CATEGORICAL[mode]
    assert CONFIG["theme"][mode]["backgroundColor"] == BACKGROUND[mode]
    assert len(CATEGORICAL[mode]) == len(set(CATEGORICAL[mode])) == len(ROLES) == 10


def test_the_server_is_closed_by_default() -> None:
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert set(CONFIG["server"]["allowedHosts"]) == {"localhost", "127.0.0.1", "::1"}
    assert CONFIG["server"]["enableXsrfProtection"] is True
    assert CONFIG["server"]["enableCORS"] is True
    assert CONFIG["browser"]["gatherUsageStats"] is False


def test_every_status_has_a_word_an_icon_and_a_meaning() -> None:
    assert set(STATUS_LOOKS) == set(Status)
    assert all(
        look.label and look.icon.startswith(":material/") and look.meaning.endswith(".")
        for look in STATUS_LOOKS.values()
    )
    assert len({look.label for look in STATUS_LOOKS.values()}) == len(Status)


def test_a_role_has_one_colour_a_theme() -> None:
    assert role_colour("train", "light") == CATEGORICAL["light"][0]
    assert role_colour("gate", "dark") == CATEGORICAL["dark"][1]
    with pytest.raises(ValueError, match="not in tuple"):
        role_colour("nobody", "light")
