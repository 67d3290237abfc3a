"""What is wrong with a joint plan, divided among the drafts and fields where it can be mended."""

from __future__ import annotations

from pages.ui.forms_fields import message_paths
from pages.ui.joint.held import SHARED, STAGE, Joint, draft_of, slot
from pages.ui.joint.parts import OF_STAGE, OWN, Parts, read
from pages.ui.planner_draft import objections, using

__all__ = ["check", "home_of"]


def check(now: Joint) -> None:
    """Read the plan from the form, and put what is wrong beside its fields."""
    now.plan, now.problems = read(_parts(now))
    _name_fields(now)
    now.extra = 0
    beside = _divided(now)
    with using(SHARED) as shared:
        objections(beside.get(SHARED, {}))
        shown = set(message_paths(shared.state))
    for number in now.order:
        with using(slot(number)):
            objections(beside.get(slot(number), {}))
    now.loose = []
    for key, words in now.problems.items():
        home = home_of(now, key)
        own = key.startswith("mixing.") or (key.startswith("tasks.") and key.rpartition(".")[2] in OWN)
        if not own and (home is None or (home[0] == SHARED and home[1] not in shown)):
            now.loose.append(f"{key}: {words}" if key else words)


def _name_fields(now: Joint) -> None:
    """Put what the drafts say of single fields in the place of what the plan says of a whole part."""
    with using(SHARED) as shared:
        training = {
            f"training.{path.removeprefix(STAGE)}": words
            for path, words in shared.problems.items() if path.startswith(STAGE)
        }  # fmt: skip
    if training and now.problems.pop("training", None) is not None:
        now.problems |= training
    if now.problems.get("", "").startswith("task "):
        found = {
            f"tasks.{at}.{path}": words
            for at, number in enumerate(now.order)
            for path, words in draft_of(number).problems.items() if path.startswith(("data", "task"))
        }  # fmt: skip
        if found:
            del now.problems[""]
            now.problems |= found


def _divided(now: Joint) -> dict[str, dict[str, str]]:
    """Return messages by draft and field."""
    found: dict[str, dict[str, str]] = {}
    for key, words in now.problems.items():
        place = home_of(now, key)
        if place is not None:
            found.setdefault(place[0], {})[place[1]] = words
    return found


def home_of(now: Joint, key: str) -> tuple[str, str] | None:
    """Return the draft and the field that a key of the plan belongs to; None for those outside of the drafts."""
    head, _, rest = key.partition(".")
    if head == "tasks" and rest.partition(".")[0].isdecimal():
        at, _, name = rest.partition(".")
        if int(at) >= len(now.order) or not name or name.partition(".")[0] in OWN:
            return None
        whose = slot(now.order[int(at)])
        return (whose, f"{STAGE}{name}") if name.partition(".")[0] in OF_STAGE else (whose, name)
    if head == "training":
        return SHARED, f"{STAGE}{rest}"
    return (SHARED, key) if head in ("name", "tags", "model", "runtime") else None


def _parts(now: Joint) -> Parts:
    with using(SHARED) as shared:
        state = shared.state
    return Parts(
        state, [draft_of(number).state for number in now.order], [now.own[number] for number in now.order], now.mixing,
        now.rest,
    )  # fmt: skip
