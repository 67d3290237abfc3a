"""Writing a run's model as a folder: safetensors at once, ONNX in the background with what was checked of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.runs.records import RunRecord
from core.settings import confine, safe_name
from pages.ui.components import error_box
from pages.ui.format import bytes_text, duration, plain, when
from pages.ui.run_distilled import loading_lines
from pages.ui.run_teacher_speed import same_answers
from pages.ui.studio import studio

__all__ = ["export_form", "export_rows"]

_FORMATS = {
    "safetensors": "safetensors (transformers)", "onnx": "ONNX", "onnx-int8": "ONNX, weights of 8 bits",
}  # fmt: skip
_WORDS = {
    "safetensors": "transformers loads it (shapes where Bertloom is installed), and Bertloom goes on training from it.",
    "onnx": "Runs without torch, wherever onnxruntime runs. Its logits are held against the model's on batches of "
    "several lengths; one that differs by more than 0.0001 is not written. Takes up to a minute.",
    "onnx-int8": "Weights take a quarter of the space, but answers change: how many stay the same on rows of its own "
    "data is told here and in its card. Takes up to a minute.",
}  # fmt: skip


def _own_answers(run: RunRecord) -> str:
    """Return what a model does whose answers are no labels; empty where they are."""
    task = run.plan.get("task", {})
    if task.get("kind") == "question_answering":
        return "answer questions"
    return "point to words" if _points(run) else ""


def _points(run: RunRecord) -> bool:
    """Tell whether a model's head points, so that no class of stock transformers holds it."""
    task = run.plan.get("task", {})
    return task.get("kind") == "dependency" or task.get("head") == "pointer"


def export_form(run: RunRecord, *, place: str) -> None:
    """Ask for format and folder name below the home's exports, export there, and show path, checks and a snippet.

    Parameters
    ----------
    run
        A run with weights, or a task of a joint run as one (:func:`pages.ui.run_joint.as_task`).
    place
        Where the form stands: ``dialog`` or ``tab``.
    """
    exports = studio().home.exports
    format = "safetensors"
    # a student without a head, and models whose answers are no labels, have none to hold a graph against
    what = _own_answers(run)
    if what:
        st.caption(f"Models that {what} are written as safetensors; ONNX is not there for them.")
    elif run.kind in ("train", "joint"):
        format = str(
            st.selectbox(
                "Format", list(_FORMATS), key=f"export_format_{place}_{run.id}", format_func=lambda one: _FORMATS[one]
            )
        )
    ending = "" if format == "safetensors" else f"_{format}"
    name = st.text_input(
        "Folder name", f"{_suggestion(run)}{ending.replace('_', '-')}", key=f"export_name_{place}_{run.id}{ending}",
        help=f"A folder below {exports}.",
    )  # fmt: skip
    overwrite = st.checkbox("Replace a folder of this name", key=f"export_over_{place}_{run.id}")
    st.caption(_WORDS[format])
    if st.session_state.pop(_asked(run), False):
        try:
            target = confine(safe_name(name, what="folder name"), exports)
            _write(run, target, format, overwrite=overwrite)
        except BertloomError as error:
            error_box(error)
    going = studio().students.exporting(run.id)
    at_work = going is not None and not going.done
    st.button(
        "Write the model folder", type="primary", icon=":material/download:", key=f"export_go_{place}",
        disabled=at_work, on_click=_ask, args=(run,),
    )  # fmt: skip
    if at_work:
        _progress(run, place)
    else:
        _done(run)


def _asked(run: RunRecord) -> str:
    return f"_export_asked_{run.id}"


def _ask(run: RunRecord) -> None:
    """Note down that the button was pressed: it is drawn after the work has begun, and cannot be pressed again."""
    st.session_state[_asked(run)] = True


def _write(run: RunRecord, target: Path, format: str, *, overwrite: bool) -> None:
    slot = f"_exported_{run.id}"
    st.session_state.pop(slot, None)
    if format == "safetensors":
        studio().students.forget_export(run.id)
        with st.spinner("Writing weights, tokenizer, model card and plan"):
            st.session_state[slot] = str(studio().runs.export(run.id, target, overwrite=overwrite))
        return
    studio().students.export(run.id, target, format=format, overwrite=overwrite)


def _progress(run: RunRecord, place: str) -> None:
    """Show how far an export is, again and again; a dialog would be closed by running the page anew."""

    @st.fragment(run_every=0.7)
    def bar() -> None:
        now = studio().students.exporting(run.id)
        if now is None or now.done:
            if place == "tab":
                st.rerun(scope="app")
            _done(run)
            return
        row = st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"exporting_{place}")
        with row.container(width="stretch"):
            st.progress(
                min(now.share, 1.0), text=f"{plain(now.doing or 'starting', 120)} · {duration(int(now.seconds))}"
            )
        row.button("Cancel", icon=":material/close:", key=f"export_cancel_{place}", on_click=now.cancel.set)

    bar()


def _done(run: RunRecord) -> None:
    """Show what the last export came to."""
    going = studio().students.exporting(run.id)
    if going is not None and going.done and going.error is not None and not going.cancel.is_set():
        error_box(going.error, title="The model was not exported")
    written = st.session_state.get(f"_exported_{run.id}")
    if going is not None and going.done and going.answer is not None and not written:
        _done_onnx(going.answer)
    elif written:
        shaped = studio().models.describe(written)["family"] == "shaped_bert"
        loads = "It loads where Bertloom is installed." if shaped or _points(run) else "Stock transformers loads it."
        st.success(f"The model folder is complete. {loads}", icon=":material/check_circle:")
        st.code(written, language=None)
        lines = _card_lines(Path(written)) if _own_answers(run) else _snippet(run, Path(written), shaped=shaped)
        st.code(lines, language="python")


def _done_onnx(folder: Path) -> None:
    from core.models.onnx_folder import read_about

    about = read_about(folder)
    if not about:
        return  # deleted meanwhile
    batches = about["batches"]
    st.success(
        f"The model folder is complete. Logits differ from torch's by at most {batches['max_difference']:.2g}, where "
        f"they reach {batches['largest']:.3g}. The same answers: {plain(same_answers(about))}.",
        icon=":material/check_circle:",
    )  # fmt: skip
    why = (about.get("rows") or {}).get("why")
    if why:
        st.caption(plain(f"It could not be tried on rows of its own data: {why}", 300))
    st.code(str(folder), language=None)
    st.code(_card_lines(folder), language="python")


def _card_lines(folder: Path) -> str:
    """Return the lines of Python in a folder's card."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return card.partition("```python\n")[2].partition("```")[0]


def export_rows(exports: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a run's exports that are still there, a row each."""
    return [
        {
            "folder": str(one["name"]), "format": str(one["format"]), "written": when(one["time"]),
            "file": bytes_text(_about(one)["file_bytes"]) if _about(one) else "",
            "same answers as torch": same_answers(_about(one)), "path": str(one["folder"]),
        }
        for one in exports
    ]  # fmt: skip


def _about(one: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = one.get("about") or {}
    return found


def _suggestion(run: RunRecord) -> str:
    whole, _, task = run.id.partition("/")
    words = [_cleaned(run.name) or "model", *([_cleaned(task)] if task else []), whole[-4:]]
    return "-".join(words)


def _cleaned(name: str) -> str:
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in name).strip("-. ")[:60]


def _snippet(run: RunRecord, folder: Path, *, shaped: bool = False) -> str:
    if run.kind == "distil":
        return loading_lines(str(folder), shaped=shaped)
    tagging = run.plan.get("task", {}).get("kind") == "tagging"
    task, extra = (
        ("token-classification", ', aggregation_strategy="simple"')
        if tagging
        else ("text-classification", ", top_k=None")
    )
    example = "Anna Berg works for Acme in Oslo." if tagging else "A quiet, clever film."
    lines = [
        "from transformers import pipeline",
        "",
        f'model = pipeline("{task}", {str(folder)!r}{extra})',
        f'print(model("{example}"))',
    ]
    return "\n".join(lines) + "\n"
