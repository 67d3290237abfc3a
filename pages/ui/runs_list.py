"""Runs home, lower part: every run as a row, with search, filters, selection and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.compare import best_of
from pages.ui.components import notice, run_url, share_done, status_markdown
from pages.ui.format import duration, metric_name, metric_value, percent, plain, relative
from pages.ui.run_dialogs import keep_parts
from pages.ui.runs_live import act
from pages.ui.texts import parts_words

__all__ = ["PAGE_SIZE", "chosen", "delete_dialog", "run_list"]

PAGE_SIZE = 12
_PICKED = "runs_picked"
_COMPARE = "compare"
#: Parts of a run that are listed under its row.
_MOST_PARTS = 30
_GROUPS: dict[str, tuple[Status, ...]] = {
    "Active": (Status.STARTING, Status.RUNNING, Status.PAUSING, Status.CANCELLING, Status.QUEUED),
    "Stopped": (Status.INTERRUPTED, Status.PAUSED, Status.CANCELLED),
    "Finished": (Status.FINISHED,),
    "Failed": (Status.FAILED,),
}


def run_list(studio: Studio) -> list[RunRecord]:
    """Draw filters and rows; return the selected runs, newest first."""
    _from_address()
    with st.container(border=True, gap="small", key="runs_list"):
        runs = _filters(studio)
        picked = _picked()
        _bar(studio, picked)
        if not runs:
            st.caption("No run fits these filters.")
        pages = max(1, -(-len(runs) // PAGE_SIZE))
        page = min(int(st.session_state.get("runs_page") or 1), pages)
        for run in runs[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
            _row(studio, run, picked)
            if run.children:
                _parts(studio, run, picked)
        if pages > 1:
            with st.container(horizontal_alignment="center"):
                st.pagination(pages, key="runs_page")
    return chosen(studio, picked)


def chosen(studio: Studio, picked: Sequence[str]) -> list[RunRecord]:
    """Return the records of the selected ids that exist, newest first."""
    found = []
    for run_id in picked:
        try:
            found.append(studio.runs.get(run_id))
        except BertloomError:
            _picked().remove(run_id)
    return sorted(found, key=lambda run: -run.created)


@st.dialog("Delete runs")
def delete_dialog(studio: Studio, runs: Sequence[RunRecord]) -> None:
    """Ask before runs are deleted with their metrics, checkpoints and models."""
    active = [run for run in runs if run.status.active]
    free = [run for run in runs if not run.status.active]
    if free:
        st.markdown(f"These {len(free)} runs go away, with their metrics, checkpoints and models:" if len(free) > 1 else
                    "This run goes away, with its metrics, checkpoints and model:")  # fmt: skip
        st.markdown("\n".join(f"- {plain(run.name, 80)}" for run in free[:8]))
        if len(free) > 8:
            st.caption(f"and {len(free) - 8} more")
    kinds = {run.kind for run in free if run.children}
    keep = keep_parts(sum(run.children for run in free), kinds.pop() if len(kinds) == 1 else None)
    if active:
        st.caption(f"{len(active)} still at work stay; cancel them first.")
    row = st.container(horizontal=True, horizontal_alignment="right", gap="small")
    if row.button("Keep them", key="delete_no"):
        st.rerun()
    if row.button(
        "Delete", type="primary", icon=":material/delete:", key="delete_yes", disabled=not free,
        on_click=_delete, args=(studio, [run.id for run in free], keep),
    ):  # fmt: skip
        st.rerun()


def _delete(studio: Studio, ids: Sequence[str], keep: bool) -> None:
    """Delete runs, in the callback of the dialog's button."""
    failed = 0
    for run_id in ids:
        try:
            studio.runs.delete(run_id, keep_children=keep)
        except BertloomError:
            failed += 1
            continue
        if run_id in _picked():
            _picked().remove(run_id)
    done = len(ids) - failed
    notice(f"{done} {'run' if done == 1 else 'runs'} deleted" + (f", {failed} could not be." if failed else "."))
    _to_address()


def _filters(studio: Studio) -> list[RunRecord]:
    every = studio.runs.list(limit=500)
    tags = sorted({tag for run in every for tag in run.tags})
    row = st.container(horizontal=True, vertical_alignment="center", gap="medium", key="runs_filters")
    search = row.text_input(
        "Search runs", key="runs_search", type="search", placeholder="Search name, tag, data, model", width=280,
        label_visibility="collapsed", icon=":material/search:",
    )  # fmt: skip
    group = row.segmented_control(
        "Status", ["All", *_GROUPS], key="runs_group", default="All", required=True, label_visibility="collapsed"
    )
    wanted = (
        row.multiselect("Tags", tags, key="runs_tags", placeholder="Any tag", width=220, label_visibility="collapsed")
        if tags
        else []
    )
    runs = studio.runs.list(search=search.strip() or None, limit=500) if (search or "").strip() else every
    if group in _GROUPS:
        runs = [run for run in runs if run.status in _GROUPS[group]]
    return [run for run in runs if all(tag in run.tags for tag in wanted)]


def _bar(studio: Studio, picked: list[str]) -> None:
    if not picked:
        return
    row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs_bar")
    word = f"**{len(picked)} selected**" + (
        " :gray[· compared below]" if len(picked) > 1 else " :gray[· one more to compare]"
    )
    row.markdown(word, width="content")
    if row.button("Delete", icon=":material/delete:", key="runs_delete", type="tertiary"):
        delete_dialog(studio, chosen(studio, list(picked)))
    row.button("Clear selection", icon=":material/deselect:", key="runs_clear", type="tertiary", on_click=_clear)


def _row(studio: Studio, run: RunRecord, picked: list[str]) -> None:
    with st.container(key=f"row_{run.id}"):
        box, name, status, score, time_, menu = st.columns(
            [0.4, 5, 2.1, 2.6, 2, 0.6], vertical_alignment="center", gap="small"
        )
        pick = f"pick_{run.id}"
        st.session_state[pick] = run.id in picked
        box.checkbox(
            f"Select {plain(run.name, 60)}", key=pick, label_visibility="collapsed", on_change=_pick, args=(run.id,)
        )
        with name.container(gap=None):
            st.page_link(
                st.session_state[keys.PAGES]["run"], label=f"**{plain(run.name, 60)}**", query_params=run_url(run.id)
            )
            tags = () if run.child else run.tags[:4]  # it stands below the run that it is a part of
            below = " ".join(f":gray-badge[{plain(tag, 24)}]" for tag in tags)
            if run.status is Status.FAILED and run.error:
                below += f" :red[{plain(run.error.get('what') or run.error.get('message') or '', 90)}]"
            if below:
                st.markdown(f":small[{below}]")
        status.markdown(status_markdown(run.status) + _share(run))
        score.markdown(_score(run))
        time_.caption(f"{plain(relative(run.created))} · {duration(run.seconds)}")
        _menu(studio, run, menu)


def _parts(studio: Studio, run: RunRecord, picked: list[str]) -> None:
    """Fold the parts of a run under its row: they are read when they are unfolded."""
    words = parts_words(run.kind, run.children)
    with st.expander(words, icon=":material/account_tree:", key=f"parts_{run.id}", on_change="rerun") as box:
        if not box.open:
            return
        parts = studio.runs.list(part_of=run.id, limit=100_000)[::-1]
        for part in parts[:_MOST_PARTS]:
            _row(studio, part, picked)
        if len(parts) > _MOST_PARTS:
            st.caption(f"and {len(parts) - _MOST_PARTS} more: the run's page lists them all.")


def _menu(studio: Studio, run: RunRecord, box: st.delta_generator.DeltaGenerator) -> None:
    with box.popover(
        f"Actions for {plain(run.name, 60)}",
        icon=":material/more_vert:",
        type="tertiary",
        key=f"menu_{run.id}",
        help="Actions",
    ):
        pages = st.session_state[keys.PAGES]
        st.page_link(pages["run"], label="Open", icon=":material/monitoring:", query_params=run_url(run.id))
        st.page_link(
            pages["planner"],
            label="Duplicate with changes",
            icon=":material/content_copy:",
            query_params={"from": run.id},
        )
        if run.status.resumable and not run.child:
            st.button(
                "Resume", icon=":material/resume:", key=f"menu_resume_{run.id}", type="tertiary", on_click=act,
                args=(studio.runs.resume, run.id),
            )  # fmt: skip
        if not run.status.active and st.button(
            "Delete …", icon=":material/delete:", key=f"menu_delete_{run.id}", type="tertiary"
        ):
            delete_dialog(studio, [run])


def _share(run: RunRecord) -> str:
    done = share_done(run)
    return f" :gray[{percent(done, 0)}]" if done is not None and run.status is not Status.FINISHED else ""


def _score(run: RunRecord) -> str:
    """Return the test metric that the gate chose by, else the best gate metric so far."""
    best = best_of(run)
    tests = {name: value for name, value in run.metrics.items() if name.startswith("test/") and name != "test/loss"}
    name = f"test/{best[0].rpartition('/')[2]}" if best else next(iter(tests), "")
    if name in tests:
        return f"**{plain(metric_value(name, tests[name]))}** :small[:gray[{plain(metric_name(name))}]]"
    if best:
        label = best[0] if best[0].startswith("gate/") else f"gate/{best[0]}"
        return f"{plain(metric_value(label, best[1]))} :small[:gray[{plain(metric_name(label))}]]"
    return ":gray[–]"


def _picked() -> list[str]:
    found: list[str] = st.session_state.setdefault(_PICKED, [])
    return found


def _pick(run_id: str) -> None:
    picked = _picked()
    if st.session_state.get(f"pick_{run_id}"):
        if run_id not in picked:
            picked.append(run_id)
    elif run_id in picked:
        picked.remove(run_id)
    _to_address()


def _clear() -> None:
    _picked().clear()
    _to_address()


def _from_address() -> None:
    asked = st.query_params.get(_COMPARE, "")
    if asked and _PICKED not in st.session_state:
        st.session_state[_PICKED] = [part for part in dict.fromkeys(asked.split(",")) if part][:50]


def _to_address() -> None:
    """Keep the comparison in the address, so that it can be opened by somebody else on this machine."""
    if len(_picked()) > 1:
        st.query_params[_COMPARE] = ",".join(_picked())
    else:
        st.query_params.pop(_COMPARE, None)
