"""A process that holds one model and times it when it is asked: both ends of it.

``python -m core.models.bench_process`` reads JSON lines from standard input and answers each with one. It ends when its
input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import core
from core import errors
from core.errors import BertloomError, ModelError

__all__ = ["Measured", "main"]

_WARM = 2
_MOST = 200


class Measured:
    """The asking end: a model in a process of its own.

    Parameters
    ----------
    folder
        The model's folder.
    threads
        Threads that it computes with.

    Raises
    ------
    ModelError
        If the model cannot be loaded, or the process died.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        self._folder = folder
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.models.bench_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, env=_environment(),
        )  # fmt: skip
        try:
            #: What the process knows: ``parameters`` and ``head`` (of a model by torch), ``libraries_mb``.
            self.facts: dict[str, Any] = self._ask(folder=str(folder), threads=threads)
        except BaseException:
            self.close()
            raise

    def time(self, batch: int, length: int, seconds: float, least: int) -> list[float]:
        """Return the seconds of each pass over texts of random pieces."""
        found: list[float] = self._ask(batch=batch, length=length, seconds=seconds, least=least)
        return found

    def peak_mb(self) -> float:
        """Return the most memory that the process held since its model was loaded, in megabytes (10⁶ bytes)."""
        return float(self._ask(peak=True))

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError, AttributeError):
                pipe.close()  # type: ignore[union-attr]

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise ModelError(
                f"The process that measured the model died (exit status {self._process.wait(10)}).",
                where=str(self._folder), expected="enough memory for the model and the largest batch",
                advice=f"Measure smaller batches or shorter texts.{self._last_words()}",
            )  # fmt: skip
        reply = json.loads(line)
        if "error" in reply:
            told = dict(reply["error"])
            name = str(told.pop("error"))
            raise getattr(errors, name if name in errors.__all__ else "ModelError")(told.pop("what"), **told)
        return reply["answer"]

    def _last_words(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
            return f" It said: {lines[-1][:200]}" if lines else ""
        return ""


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    package = str(Path(next(iter(core.__path__))).parent)
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    quiet = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
    return {**environment, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), **quiet, **offline}


# -- the answering end -----------------------------------------------------------------------------------------------
class _Model:
    """A loaded model, and how much memory it takes."""

    def __init__(self, folder: Path, threads: int) -> None:
        from core.models.onnx_folder import is_onnx

        self.facts: dict[str, Any] = {}
        self._ready: tuple[tuple[int, int], Callable[[], Any]] | None = None
        self._make = self._onnx(folder, threads) if is_onnx(folder) else self._torch(folder, threads)
        self._watched = _forget_peak()
        self._most = _resident()

    def time(self, batch: int, length: int, seconds: float, least: int) -> list[float]:
        if self._ready is None or self._ready[0] != (batch, length):
            self._ready = (batch, length), self._make(batch, length)
        run = self._ready[1]
        times: list[float] = []
        for _ in range(_WARM if batch * length < 4096 else 1):
            run()
        until = time.perf_counter() + seconds
        while len(times) < least or (time.perf_counter() < until and len(times) < _MOST):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        self._most = max(self._most, _resident())
        return times

    def peak(self) -> float:
        most = _peak() if self._watched else None
        return round(max(self._most, most or 0) / 1e6, 1)

    def _torch(self, folder: Path, threads: int) -> Callable[[int, int], Callable[[], Any]]:
        import torch
        import transformers  # noqa: F401  its memory is not the model's

        from core.models.bench_load import load_any

        self.facts["libraries_mb"] = round(_resident() / 1e6, 1)
        torch.set_num_threads(threads)
        model, head = load_any(folder)
        self.facts.update(parameters=sum(one.numel() for one in model.parameters()), head=head)
        pieces = int(model.get_input_embeddings().num_embeddings)

        def make(batch: int, length: int) -> Callable[[], Any]:
            ids = torch.from_numpy(_pieces(pieces, batch, length))
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

            def run() -> None:
                with torch.inference_mode():
                    model(**inputs)

            return run

        return make

    def _onnx(self, folder: Path, threads: int) -> Callable[[int, int], Callable[[], Any]]:
        import numpy as np

        from core.models.onnx_folder import ONNX, OnnxModel, open_session, runtime
        from core.models.sources import read_config

        runtime()
        self.facts["libraries_mb"] = round(_resident() / 1e6, 1)
        model = OnnxModel(open_session(folder / ONNX, threads))
        pieces = int(read_config(folder).get("vocab_size") or 1000)

        def make(batch: int, length: int) -> Callable[[], Any]:
            ids = _pieces(pieces, batch, length)
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            return lambda: model.run(inputs)

        return make


def _pieces(vocabulary: int, batch: int, length: int) -> Any:
    import numpy as np

    return np.random.default_rng(batch * 100_003 + length).integers(0, vocabulary, (batch, length))


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _forget_peak() -> bool:
    """Let the kernel begin to watch the peak anew (Linux); elsewhere memory is looked at after each measurement."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return _peak() is not None


def _peak() -> int | None:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return None


def main() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is no answer
    model: _Model | None = None
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            if model is None:
                model = _Model(Path(question["folder"]), int(question["threads"]))
                reply: dict[str, Any] = {"answer": model.facts}
            else:
                reply = {"answer": model.peak() if "peak" in question else model.time(**question)}
        except BertloomError as error:
            reply = {"error": error.as_dict()}
        except (MemoryError, RuntimeError) as error:
            told = ModelError(f"The model cannot be run: {(str(error).splitlines() or [''])[0][:300]}")
            reply = {"error": told.as_dict()}
        answers.write(json.dumps(reply).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
