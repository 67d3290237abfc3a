"""The script that every component of ours starts with."""

from __future__ import annotations

__all__ = ["LOADER"]

#: The component's own script: it fetches the real one, which the browser keeps, so that reruns do not carry it.
LOADER = """
export default function (component) {
  let closed = false;
  let close = () => { closed = true; };
  const start = (attempt) => import(new URL(component.data.script, window.location.origin).href).then(
    (module) => { if (!closed) close = module.mount(component) ?? close; },
    () => { if (!closed && attempt < 30) setTimeout(() => start(attempt + 1), 1000); },
  );
  start(0);
  return () => close();
}
"""
