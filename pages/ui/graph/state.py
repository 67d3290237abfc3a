"""What the explorer shows, as one value: it comes from the address and goes into it, and knows its widgets.

Widgets are filled from the state once a generation; whatever changes the state from elsewhere (the address, a click
in the picture, a button) begins a new generation, so that no widget keeps an old value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import streamlit as st

__all__ = ["NAMES", "Explorer", "Query", "Size", "View", "explorer", "follow_address", "from_params", "to_params"]

_SLOT = "graph_explorer"

View = Literal["path", "neighbourhood", "overview"]
Size = Literal["degree", "pagerank", "betweenness"]


@dataclass(frozen=True)
class Query:
    """One question to a graph and how its answer is shown.

    Parameters
    ----------
    graph
        Run id or file.
    start, end
        The two words; empty before anybody chose.
    layer
        Layer of the encoder, None for the middle one.
    between
        At least so many words in between.
    k
        How many paths.
    avoid, through
        Words that the path must not, or must, hold.
    hub
        Weight of the hub penalty λ.
    directed
        Whether edges lead one way.
    across
        Whether the path may change layers.
    first, last
        Across layers: the layer to start and to end in; None for any.
    kappa
        Across layers: cost of changing the layer at cosine 0; None for the median cost inside layers.
    weights
        Edge type → mixing weight; types that are missing weigh 1.
    view, size, most
        What is shown, what makes a word large, and how many words there are at most.
    word
        The word whose neighbourhood is shown.
    """

    graph: str = ""
    start: str = ""
    end: str = ""
    layer: int | None = None
    between: int = 1
    k: int = 3
    avoid: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    hub: float = 0.0
    directed: bool = True
    across: bool = False
    first: int | None = None
    last: int | None = None
    kappa: float | None = None
    weights: tuple[tuple[str, float], ...] = ()
    view: View = "path"
    size: Size = "degree"
    most: int = 60
    word: str = ""

    def weight(self, kind: str) -> float:
        """Return the mixing weight of an edge type."""
        return dict(self.weights).get(kind, 1.0)


#: Field → name in the address.
NAMES: dict[str, str] = {
    "graph": "graph", "start": "from", "end": "to", "layer": "layer", "between": "between", "k": "k",
    "avoid": "avoid", "through": "through", "hub": "hub", "directed": "directed", "across": "across",
    "first": "first", "last": "last", "kappa": "kappa", "weights": "weights", "view": "view",
    "size": "size", "most": "words", "word": "word",
}  # fmt: skip
_CHOICES: dict[str, tuple[str, ...]] = {"view": get_args(View), "size": get_args(Size)}
_MOST = {"between": 6, "k": 20, "layer": 1000, "first": 1000, "last": 1000}
_LONGEST = 5000


def to_params(query: Query) -> dict[str, str]:
    """Return the query as parameters of an address; what is as usual is left out, except for words and graph."""
    usual = Query()
    found: dict[str, str] = {}
    for name, short in NAMES.items():
        value = getattr(query, name)
        if value == getattr(usual, name):
            continue
        if name in ("avoid", "through"):
            # Words hold no blank: they are units of a text.
            found[short] = " ".join(value)
        elif name == "weights":
            found[short] = " ".join(f"{kind}:{weight:g}" for kind, weight in value)
        elif isinstance(value, bool):
            found[short] = "yes" if value else "no"
        else:
            found[short] = f"{value:g}" if isinstance(value, float) else str(value)
    return found


def from_params(params: Mapping[str, str]) -> Query:
    """Return the query that an address names; what cannot be read is as usual."""
    query = Query()
    values: dict[str, Any] = {}
    for name, short in NAMES.items():
        text = params.get(short)
        if text is None or len(text) > _LONGEST:
            continue
        try:
            values[name] = _read(name, text)
        except ValueError:
            continue
    return replace(query, **values)


def _read(name: str, text: str) -> Any:
    if name in ("avoid", "through"):
        return tuple(text.split())
    if name == "weights":
        pairs = [part.rpartition(":") for part in text.split()]
        return tuple((kind, _number(value, 0.0, 1.0)) for kind, _, value in pairs if kind)
    if name in _MOST:
        return int(_number(text, 0 if name != "k" else 1, _MOST[name]))
    if name == "most":
        if text not in ("60", "120", "250", "500", "2000"):
            raise ValueError(text)
        return int(text)
    if name in ("hub", "kappa"):
        return _number(text, 0.0, 5.0 if name == "hub" else 1000.0)
    if name in ("directed", "across"):
        if text not in ("yes", "no"):
            raise ValueError(text)
        return text == "yes"
    if name in _CHOICES and text not in _CHOICES[name]:
        raise ValueError(text)
    return text


def _number(text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        raise ValueError(text)
    return value


@dataclass
class Explorer:
    """What the explorer keeps in the session.

    Parameters
    ----------
    query
        What is asked now.
    generation
        Part of every widget's key.
    address
        Parameters that were last read or written.
    side
        Whether the path or the chosen word is explained beside the picture.
    given
        What each widget starts with, by its key: told with every run of the page, the same each time.
    """

    query: Query = field(default_factory=Query)
    generation: int = 0
    address: dict[str, str] = field(default_factory=dict)
    side: Literal["path", "word"] = "path"
    selected: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    #: Parameters of the query that an incomplete address stands for: not worth a step of the back button.
    settled: dict[str, str] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """Return the key of a widget of this generation."""
        return f"graph{self.generation}_{name}"

    def first(self, name: str, value: Any) -> Any:
        """Return what a widget starts with: `value` when it is new, afterwards what it was told then."""
        return self.given.setdefault(self.key(name), value)

    def change(self, **values: Any) -> None:
        """Change the query from code, before its widgets are drawn or in a callback."""
        self.query = replace(self.query, **values)
        self.generation += 1
        self.given = {}

    def keep(self, **values: Any) -> None:
        """Take over what widgets hold."""
        self.query = replace(self.query, **values)

    def settle(self, **values: Any) -> None:
        """Fill in what the address leaves open."""
        self.query = replace(self.query, **values)
        self.settled = to_params(self.query)

    def write_address(self) -> None:
        """Put the query into the address, if it changed: each change is a step that the back button undoes."""
        wanted = to_params(self.query)
        if wanted not in (self.address, self.settled):
            self.address, self.settled = wanted, {}
            st.query_params.from_dict(wanted)


def explorer() -> Explorer:
    """Return the session's explorer."""
    if _SLOT not in st.session_state:
        st.session_state[_SLOT] = Explorer()
    found: Explorer = st.session_state[_SLOT]
    return found


def follow_address() -> Explorer:
    """Return the session's explorer, on the query of the address if that is not the one it wrote itself."""
    now = explorer()
    names = set(NAMES.values())
    shown = {name: value for name, value in st.query_params.to_dict().items() if name in names}
    if shown != now.address:
        now.change(**from_params(shown).__dict__)
        now.address = shown
        now.side, now.selected = "path", now.query.word or None
    return now
