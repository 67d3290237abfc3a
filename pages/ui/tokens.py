"""Signed tickets with which a page's plot may read one run's data.

The data routes stand outside of ``st.login``, so a page that was shown to a person hands its plot a ticket: it names
the run, expires soon, and is renewed by the answers as long as the plot goes on asking.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadData, URLSafeTimedSerializer

from core.errors import StorageError
from core.settings import Home

__all__ = ["LIFETIME", "LONGEST", "Ticket", "issue", "read", "renewed"]

#: Seconds for which a ticket is good.
LIFETIME = 600
#: Seconds after which a ticket is not renewed any more: the page must be loaded again (and sign-in checked).
LONGEST = 7 * 86_400

_SALT = "bertloom.series"


@dataclass(frozen=True)
class Ticket:
    """What a valid token says."""

    run_id: str
    #: When the page first got a ticket for this run, seconds since the epoch.
    born: int
    #: When this token was made.
    issued: float


def _secret(home: Home) -> str:
    """Return the home's signing key; made on first use, readable by its owner only."""
    file: Path = home.root / "dashboard.key"
    try:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = file.read_text(encoding="ascii").strip()
            if len(key) >= 32:
                return key
            # Another process made the file a moment ago and has not written yet, or a full disk left it empty.
            time.sleep(0.05)
            key = file.read_text(encoding="ascii").strip()
            if len(key) >= 32:
                return key
            file.unlink(missing_ok=True)
            return _secret(home)
        key = secrets.token_hex(32)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(key)
        return key
    except OSError as error:
        raise StorageError(
            f"The dashboard's signing key cannot be kept: {error.strerror or error}.",
            where=str(file),
            advice="Free some space or mend the permissions of the home folder.",
        ) from error


def _serializer(home: Home) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_secret(home), salt=_SALT)


def issue(home: Home, run_id: str, *, born: int | None = None) -> str:
    """Return a token for one run."""
    return _serializer(home).dumps([run_id, int(time.time()) if born is None else born])


def read(home: Home, token: str) -> Ticket | None:
    """Return what a token says, or None if it is forged, broken or expired."""
    try:
        value, issued = _serializer(home).loads(token, max_age=LIFETIME, return_timestamp=True)
    except BadData:
        return None
    match value:
        case [str() as run_id, int() as born]:
            return Ticket(run_id, born, issued.timestamp())
    return None


def renewed(home: Home, ticket: Ticket, now: float | None = None) -> str | None:
    """Return a fresh token once half of a ticket's life is over; None before that, and after :data:`LONGEST`."""
    moment = time.time() if now is None else now
    if moment - ticket.issued < LIFETIME / 2 or moment - ticket.born > LONGEST:
        return None
    return issue(home, ticket.run_id, born=ticket.born)
