"""Freed memory is kept, or given back, in processes of their own: what they are told holds for all that comes later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def printed(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.split()


def test_the_allocator_answers_without_raising() -> None:
    script = "from core.training.allocator import keep_freed_memory; print(keep_freed_memory())"
    assert printed(script) in (["True"], ["False"])


def test_libraries_are_looked_through_once_and_what_comes_later_is_freed() -> None:
    script = """
import gc, weakref
from core.training.allocator import give_back_freed_memory as give_back, keep_freed_memory

class Model:
    pass

keep_freed_memory()
give_back()
print(gc.get_freeze_count() > 0)
library = [[] for _ in range(150_000)]
give_back()
print(gc.get_freeze_count() > 150_000)
model = Model()
model.itself = model
seen = weakref.ref(model)
del model
print(seen() is None)
give_back()
print(seen() is None)
"""
    assert printed(script) == ["False", "True", "False", "True"]


def test_a_process_that_has_more_to_do_has_everything_looked_through() -> None:
    script = """
import gc
from core.training.allocator import give_back_freed_memory
pages = [[] for _ in range(150_000)]
give_back_freed_memory()
print(gc.get_freeze_count())
"""
    assert printed(script) == ["0"]
