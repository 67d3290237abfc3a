"""What a model card says of an ONNX export: how it is run without torch, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.data.tasks.base import Task
from core.data.tasks.words import WORD_PATTERN

__all__ = ["checked", "onnx_snippet"]


def onnx_snippet(task: Task, max_length: int, about: Mapping[str, Any], *, pairs: bool = False) -> str:
    """Return lines of Python that run the folder with onnxruntime, tokenizers and numpy alone.

    Parameters
    ----------
    task
        The task with its labels.
    max_length
        Sub-words a text may have; longer ones are cut.
    about
        What ``onnx.json`` holds: ``inputs`` of the graph and ``padding``, the padding piece's number.
    pairs
        Whether the model reads pairs of texts.
    """
    types = ', "token_type_ids": "type_ids"' if "token_type_ids" in about["inputs"] else ""
    opening = f"""\
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime 1.29 and newer send events otherwise
import onnxruntime
from tokenizers import Tokenizer
labels = json.load(open("bertloom.json", encoding="utf-8"))["labels"]
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({max_length})
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
parts = {{"input_ids": "ids", "attention_mask": "attention_mask"{types}}}"""
    if task.kind == "tagging":
        return f"""\
import json, os, re, numpy as np
{opening}
words = re.findall(r"{WORD_PATTERN}", "Anna lives in Paris.")
found = tokenizer.encode(words, is_pretokenized=True)
batch = {{name: np.array([getattr(found, part)], dtype=np.int64) for name, part in parts.items()}}
best = session.run(["logits"], batch)[0][0].argmax(-1)
first = [at for at, word in enumerate(found.word_ids) if word is not None and word != found.word_ids[at - 1]]
print([(words[found.word_ids[at]], labels[best[at]]) for at in first])"""
    given = 'texts = ["A text to classify.", "Another one."]'
    if pairs:
        given = 'texts = [("A first text.", "Its second one."), ("Another first text.", "Another second one.")]'
    shares = "1 / (1 + np.exp(-logits))"
    if not task.config.multi_label:
        shares = "np.exp(logits - logits.max(-1, keepdims=True))\nshares /= shares.sum(-1, keepdims=True)"
    return f"""\
import json, os, numpy as np
{opening}
tokenizer.enable_padding(pad_id={int(about["padding"])})
{given}
found = tokenizer.encode_batch(texts)
batch = {{name: np.array([getattr(one, part) for one in found], dtype=np.int64) for name, part in parts.items()}}
logits = session.run(["logits"], batch)[0]
shares = {shares}
for text, row in zip(texts, shares):
    print(text, {{label: round(float(share), 4) for label, share in zip(labels, row)}})"""


def checked(about: Mapping[str, Any]) -> str:
    """Return the part of the card that tells what was compared with the model by torch, and how it came out.

    Parameters
    ----------
    about
        What ``onnx.json`` holds.
    """
    found, rows = about["batches"], about.get("rows") or {}
    sizes = ", ".join(f"{texts} × {length}" for texts, length in found["batches"])
    eight = about["format"] == "onnx-int8"
    what = "weights of 8 bits (dynamic quantisation by onnxruntime)" if eight else "weights in full precision"
    lines = [
        "## What was checked", "",
        f"`model.onnx` (operator set {about['opset']}, {what}, {about['file_bytes'] / 1e6:.1f} MB) was run by "
        f"onnxruntime beside the model by torch. "
        f"Inputs: {', '.join(f'`{name}`' for name in about['inputs'])}, int64 of shape "
        "(batch, length); both are open.", "",
        f"- Random pieces, batches of {sizes} (texts × sub-words) with padding: logits differ by at most "
        f"{found['max_difference']:.2g}, {found['mean_difference']:.2g} on average, where they reach "
        f"{found['largest']:.3g}; {_share(found)} answers are the same.",
    ]  # fmt: skip
    if "metric" in rows:
        unit = "words" if rows["answers"] != rows["rows"] else "texts"
        lines.append(
            f"- {rows['rows']:,} of {rows['of']:,} `{rows['role']}` rows: {rows['metric']} {rows['torch']:.4f} by "
            f"torch, {rows['onnx']:.4f} by this file; {_share(rows)} {unit} have the same answer."
        )
    elif rows.get("why"):
        lines.append(f"- Not checked on rows of its own data: {rows['why'].rstrip('.')}.")
    if eight:
        lines += [
            "", "Weights of 8 bits change answers: judge by the lines above whether that matters to you. Answers may "
            "differ a little between kinds of processors.",
        ]  # fmt: skip
    return "\n".join(lines)


def _share(found: Mapping[str, Any]) -> str:
    return f"{round(found['agreement'] * found['answers']):,} of {found['answers']:,}"
