"""The plan of the structure experiment as its page says it, and the ranking that was made before it."""

from __future__ import annotations

import json

from core.runs.compare import LEAST_SEEDS
from tests.benchmarks.structure import BATCH_TOKENS, RESULTS, STEPS, TASK_BATCH, TASK_STEPS
from tests.benchmarks.structure_arms import ARMS, CANDIDATES, RATIOS, SPACE, UNIFORM

__all__ = ["before", "introduction"]

_INTRODUCTION = """# Are the word graphs' shapes worth anything?

Written by `python -m tests.benchmarks.structure --render` from the files in [results/structure](results/structure);
`make experiment-structure` makes what is missing (`make experiment-structure MINUTES=10` for ten minutes of it) and
renders. How shapes are described, counted and given weights: [shapes.md](shapes.md).

## The plan
**The question.** The statistics of a parent's word graphs say how many directions each layer needs (d\\*). Does an
encoder of half the size become better if its layers are as wide as that, rather than equally wide, drawn at random,
tapered by hand, or as wide as the same d\\* in another order?

**Parent and budget.** The bundled encoder (MiniLM, 6 layers of width 384, 10.6 million parameters between embeddings
and pooler). Every student has {budget:,} there, within 3 %, and six layers, a stream of 384 and a readout of
full width: only the widths differ, in whole heads of 32. Depth is not part of the question, because losses of
different depths cannot be compared.

**Arms.**

{arms}

Every arm ranks {candidates} shapes with a seed, which differ in how the budget is shared between attention and FFN:
about {ratios} FFN units by width. All have that freedom, because one ranking before the experiment (below) showed
that it matters more than any profile. The uniform widths ({uniform}) are three of the four best in that ranking, of
six that meet the budget; the fourth, 320, has the best one's ratio. If this choice favours an arm, then the uniform
one. Widths that follow d\\* stand at the centre of the search's prior; a search also draws around it, which would
blur what is asked here.

**One arm with one seed.** The shapes inherit the parent's weights and are ranked by their distillation loss on 4,000
held-out sub-words. The best is distilled ({steps} steps of {tokens} sub-words, hidden states of all layers) and
measured on the same texts; then it is fine-tuned as a whole ({task_steps} steps of {task_batch} reviews, positive or
negative) and scored on 2,000 test reviews. The arms of a seed share the calibration texts, the batches of
distillation and of fine-tuning, and the head's first weights; another seed changes all of them, but not the rows of
train and test. Distillation sees review sentences without labels, among them such of test reviews, in all arms alike.
Equal compute means equally many shapes ranked and equally many steps on the same texts; operations a text stand in
the table.

**How it is judged.** Two measures: the distillation loss (0 is the parent, predicting the mean scores 2) and the
accuracy. Differences over seeds get paired t-intervals, those of accuracy also a paired bootstrap over test reviews.
The comparisons with uniform, random and permuted are corrected together (Holm), and so are those beside them.
*Better* and *worse* need corrected intervals that exclude 0 and a difference of at least the margin (0.01 of loss, 1
point of accuracy, set before the runs), *equivalent* needs all of them within the margin, and all else is *not
distinguishable*. With fewer than {least} seeds there is no verdict. The prior has earned its place where it beats all
three.
"""


def introduction() -> str:
    """Return the head of the page: question, arms, one run, and how it is judged."""
    return _INTRODUCTION.format(
        arms="\n".join(f"- *{arm.title}*: {arm.described}." for arm in ARMS), budget=SPACE.budget,
        candidates=CANDIDATES, ratios=", ".join(f"{ratio:g}" for ratio in RATIOS), uniform=", ".join(map(str, UNIFORM)),
        steps=STEPS, tokens=BATCH_TOKENS, task_steps=TASK_STEPS, task_batch=TASK_BATCH, least=LEAST_SEEDS,
    )  # fmt: skip


def before() -> list[str]:
    """Return the ranking before the experiment, which is why arms differ in the ratio and which widths are uniform."""
    told = json.loads((RESULTS / "ranking.json").read_text(encoding="utf-8"))
    lines = [
        "## The ranking before the experiment", "",
        f"Once, with weights fitted to {told['fit']:,} sub-words and measured on {told['held_out']:,} others "
        f"({told['corpus']}), nothing trained:", "",
        "| widths, lowest layer first | FFN units by width | loss after inheriting |", "|---|---|---|",
    ]  # fmt: skip
    rows = [
        f"| {', '.join(map(str, one['widths']))} | {one['ratio']:.2f} | {one['loss']:.3f} |" for one in told["shapes"]
    ]
    return [*lines, *rows, ""]
