"""Tickets name one run, expire, are renewed, and cannot be forged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.errors import StorageError
from core.settings import Home
from pages.ui import tokens


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


def test_a_ticket_is_for_one_run(home: Home) -> None:
    ticket = tokens.read(home, tokens.issue(home, "run-1"))
    assert ticket is not None
    assert ticket.run_id == "run-1"


def test_a_forged_or_foreign_ticket_is_refused(home: Home, tmp_path: Path) -> None:
    good = tokens.issue(home, "run-1")
    assert tokens.read(home, good[:-2] + ("aa" if good[-2:] != "aa" else "bb")) is None
    assert tokens.read(home, "") is None
    assert tokens.read(home, "é" * 10) is None
    other = Home(tmp_path / "other").ensure()
    assert tokens.read(other, good) is None


def test_a_ticket_expires(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tokens.issue(home, "run-1")
    monkeypatch.setattr(tokens, "LIFETIME", -1)
    assert tokens.read(home, good) is None


def test_a_ticket_is_renewed_in_the_second_half_of_its_life_only(home: Home) -> None:
    ticket = tokens.read(home, tokens.issue(home, "run-1"))
    assert ticket is not None
    assert tokens.renewed(home, ticket, now=ticket.issued + 1) is None
    fresh = tokens.renewed(home, ticket, now=ticket.issued + 0.6 * tokens.LIFETIME)
    assert fresh is not None
    again = tokens.read(home, fresh)
    assert again is not None
    assert (again.run_id, again.born) == ("run-1", ticket.born)


def test_a_ticket_is_not_renewed_for_ever(home: Home) -> None:
    ticket = tokens.read(home, tokens.issue(home, "run-1", born=1000))
    assert ticket is not None
    assert tokens.renewed(home, ticket, now=ticket.issued + 0.6 * tokens.LIFETIME) is None


def test_the_key_is_private_and_stays(home: Home) -> None:
    first = tokens.issue(home, "run-1")
    file = home.root / "dashboard.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tokens.read(home, first) is not None


def test_an_empty_key_file_is_replaced(home: Home) -> None:
    (home.root / "dashboard.key").write_text("")
    assert tokens.read(home, tokens.issue(home, "run-1")) is not None
    assert len((home.root / "dashboard.key").read_text()) == 64


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="signing key"):
        tokens.issue(Home(tmp_path / "missing"), "run-1")
