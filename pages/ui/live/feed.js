// Pulls what is new from the server with two cursors (points, events). Knows nothing of drawing.

const FAST = 1000;
const SLOW = 5000;
const ENDED = new Set(["finished", "failed", "cancelled", "interrupted", "paused"]);

export class Feed {
  /** `on` has: batch(payload, replace), link(state, words), renew(). */
  constructor(on) {
    this.on = on;
    this.timer = null;
    this.run = null;
    this.serial = 0;
    this.visible = () => {
      if (!document.hidden) this.soon();
    };
    document.addEventListener("visibilitychange", this.visible);
    window.addEventListener("online", this.visible);
  }

  /** Follow a run; the same run with a new token goes on where it was. */
  follow(run, address, token) {
    const other = run !== this.run || address !== this.address;
    const renewed = token !== this.token;
    this.token = token;
    if (other) {
      this.run = run;
      this.address = address;
      this.rewind();
    }
    if (other || (renewed && this.refused) || this.stopped) this.soon();
    return other;
  }

  /** Ask for everything again with the next pull. */
  rewind() {
    this.serial += 1;
    this.cursor = 0;
    this.events = 0;
    this.failures = 0;
    this.status = null;
    this.refused = false;
    this.stopped = false;
  }

  soon(delay = 0) {
    clearTimeout(this.timer);
    this.stopped = false;
    this.timer = setTimeout(() => this.pull(), delay);
  }

  async pull() {
    if (this.busy) return this.soon(100);
    this.busy = true;
    const serial = this.serial;
    const first = this.cursor === 0;
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), 15000);
    let next = FAST;
    try {
      const query = new URLSearchParams({ after: this.cursor, events: this.events, token: this.token });
      const answer = await fetch(`${this.address}/${encodeURIComponent(this.run)}?${query}`, {
        signal: abort.signal,
        cache: "no-store",
        credentials: "same-origin",
      });
      if (serial !== this.serial) return;
      if (answer.status === 401) {
        next = this.refuse();
      } else if (answer.status === 404 || answer.status === 403) {
        const { error } = await answer.json().catch(() => ({}));
        this.on.link("gone", error ?? "This run cannot be read any more.");
        next = null;
      } else if (!answer.ok) {
        throw new Error(String(answer.status));
      } else {
        next = this.take(await answer.json(), first);
      }
    } catch {
      if (serial !== this.serial) return;
      this.failures += 1;
      this.on.link("lost", "Not connected, retrying");
      next = Math.min(FAST * 1.5 ** (this.failures - 1), SLOW);
    } finally {
      clearTimeout(limit);
      this.busy = false;
      if (serial !== this.serial) this.soon();
    }
    if (next === null) this.stopped = true;
    else this.soon(next);
  }

  take(payload, first) {
    this.failures = 0;
    this.refused = false;
    if (payload.token) this.token = payload.token;
    // A reduced batch stands for points that were not sent: it cannot be appended to, so all is asked for again.
    if (payload.reduced && !first) {
      this.cursor = 0;
      this.events = 0;
      return 0;
    }
    this.cursor = payload.cursor;
    this.events = payload.event_cursor;
    this.status = payload.status;
    const ended = ENDED.has(payload.status);
    this.on.link(ended ? "ended" : payload.active ? "live" : "waiting", payload.status);
    this.on.batch(payload, first);
    if (ended) return document.hidden ? null : 2 * SLOW;
    return document.hidden || !payload.active ? SLOW : FAST;
  }

  refuse() {
    if (!this.refused) this.on.renew();
    this.refused = true;
    this.on.link("lost", "Renewing the connection");
    return SLOW;
  }

  close() {
    clearTimeout(this.timer);
    this.serial += 1;
    document.removeEventListener("visibilitychange", this.visible);
    window.removeEventListener("online", this.visible);
    this.soon = () => {};
  }
}
