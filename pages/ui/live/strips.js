// Strips of pinned sentences: a row a word, a column a look, the colour how far student and teacher are apart.
// One board per mount, kept while the page reruns. Everything that a person wrote goes in as text.

import { mix, readLook } from "./look.js";
import { StripBook, rampOf, stripsToCsv } from "./strip_book.js";
import { download } from "./view.js";

const FAST = 1500;
const SLOW = 5000;
const ROW = 20;
const ENDED = new Set(["finished", "failed", "cancelled", "interrupted", "paused"]);

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** One pinned sentence: words, canvas, and the line below it that says what a cell holds. */
class Strip {
  constructor(pin) {
    this.pin = pin;
    this.hover = null; // the cell under the pointer, while it is there
    this.kept = null; // the cell that keys or a click went to, while the canvas has the focus
    this.root = make("figure", "bl-strip");
    this.root.dataset.pin = pin.id;
    const head = make("figcaption", "bl-strip-head");
    head.append(make("span", "bl-strip-text", pin.pair ? `${pin.text} | ${pin.pair}` : pin.text));
    this.body = make("div", "bl-strip-body");
    this.words = make("ol", "bl-strip-words");
    this.words.setAttribute("aria-label", "Words");
    this.canvas = make("canvas");
    Object.assign(this.canvas, { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    const frame = make("div", "bl-strip-frame");
    this.axis = make("div", "bl-strip-axis");
    frame.append(this.canvas, this.axis);
    this.body.append(this.words, frame);
    this.told = make("div", "bl-strip-told");
    this.told.setAttribute("aria-live", "polite");
    this.root.append(head, this.body, this.told);
    this.canvas.addEventListener("pointermove", (event) => this.move({ hover: this.under(event) }));
    this.canvas.addEventListener("pointerdown", (event) => this.move({ hover: null, kept: this.under(event) }));
    this.canvas.addEventListener("pointerleave", () => this.move({ hover: null }));
    this.canvas.addEventListener("blur", () => this.move({ kept: null }));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  draw(own, look) {
    this.own = own;
    this.look = look;
    const rows = own?.parts.length ?? 0;
    this.body.hidden = !own?.steps.length;
    if (!own?.steps.length) {
      this.told.textContent = "No step has looked at this sentence yet.";
      return;
    }
    const shape = JSON.stringify([own.parts, this.pin.gold]);
    if (shape !== this.shape) {
      this.shape = shape;
      const gold = Array.isArray(this.pin.gold) && this.pin.gold.length === rows ? this.pin.gold : null;
      this.words.replaceChildren(...own.parts.map((part, i) => {
        const item = make("li", "", part || "text");
        const right = gold?.[i] ?? (rows === 1 && typeof this.pin.gold === "string" ? this.pin.gold : null);
        if (right) item.append(make("small", "", right));
        item.title = right ? `${part || "text"}, gold: ${right}` : part;
        return item;
      }));
    }
    const width = Math.max(60, Math.floor(this.canvas.parentElement.clientWidth));
    const height = rows * ROW;
    const scale = window.devicePixelRatio || 1;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const ramp = rampOf(look, mix);
    this.edges = own.edges(width);
    for (let column = 0; column < own.steps.length; column += 1) {
      const left = this.edges[column];
      const right = Math.max(this.edges[column + 1], left + 1);
      for (let row = 0; row < rows; row += 1) {
        pen.fillStyle = ramp(own.values[column][row]);
        pen.fillRect(left, row * ROW, right - left + 0.4, ROW - 1);
      }
    }
    if (this.cursor) {
      const { column, row } = this.at(this.cursor);
      pen.strokeStyle = look.text;
      pen.lineWidth = 1.5;
      pen.strokeRect(this.edges[column] + 0.75, row * ROW + 0.75, Math.max(this.edges[column + 1] - this.edges[column], 3) - 1.5, ROW - 2.5);
    }
    const last = own.steps[own.steps.length - 1];
    this.axis.replaceChildren(make("span", "", `step ${own.steps[0].toLocaleString("en")}`), make("span", "", last.toLocaleString("en")));
    this.canvas.setAttribute("aria-label", `Divergence of student and teacher on “${this.pin.text}”, ${rows} rows by ${own.steps.length} steps. Arrow keys move from cell to cell.`);
    this.tell();
  }

  get cursor() {
    return this.hover ?? this.kept;
  }

  /** The cell of a cursor, which keeps its step while columns come in. */
  at(cursor) {
    const found = this.own.steps.findLastIndex((step) => step <= cursor.step);
    return { column: Math.max(0, found), row: Math.min(cursor.row, this.own.parts.length - 1) };
  }

  under(event) {
    if (!this.edges) return null;
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const column = Math.max(0, this.edges.findLastIndex((edge) => edge <= x));
    const row = Math.max(0, Math.floor((event.clientY - box.top) / ROW));
    return { step: this.own.steps[Math.min(column, this.own.steps.length - 1)], row };
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const by = moves[event.key];
    if (!by || !this.own?.steps.length) return;
    event.preventDefault();
    const last = this.own.steps.length - 1;
    const from = this.cursor ? this.at(this.cursor) : { column: by[0] > 0 ? -1 : last + 1 - Math.abs(by[1]), row: by[1] > 0 ? -1 : 0 };
    const column = Math.min(last, Math.max(0, from.column + by[0]));
    const row = Math.min(this.own.parts.length - 1, Math.max(0, from.row + by[1]));
    this.move({ hover: null, kept: { step: this.own.steps[column], row } });
  }

  move({ hover = this.hover, kept = this.kept }) {
    const before = this.cursor;
    Object.assign(this, { hover, kept });
    const now = this.cursor;
    if (before?.step === now?.step && before?.row === now?.row) return;
    if (this.own) this.draw(this.own, this.look);
  }

  /** Say what the cell under the cursor holds, or how the newest look was. */
  tell() {
    const { own } = this;
    const column = this.cursor ? this.at(this.cursor).column : own.steps.length - 1;
    const values = own.values[column];
    if (!this.cursor) {
      const row = values.indexOf(Math.max(...values));
      const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
      const most = own.parts.length > 1 ? `, most at “${own.parts[row]}” (${values[row].toFixed(3)})` : "";
      this.told.replaceChildren(make("div", "", `After step ${own.steps[column].toLocaleString("en")}: ${own.parts.length > 1 ? "mean divergence" : "divergence"} ${mean.toFixed(3)}${most}.`));
      return;
    }
    const { row } = this.at(this.cursor);
    const line = make("div", "", `Step ${own.steps[column].toLocaleString("en")}${own.parts[row] ? `, “${own.parts[row]}”` : ""}: divergence ${values[row].toFixed(3)}`);
    const sides = [["teacher", own.teacher[row]], ["student", own.student[column][row]]].map(([name, top]) => {
      const side = make("div", "bl-strip-side");
      side.append(make("b", "", name));
      for (const [index, share] of top) {
        const bar = make("span", "bl-strip-bar", `${own.classes[index]} ${(share / 10).toFixed(1)} %`);
        bar.style.setProperty("--bl-share", `${share / 10}%`);
        side.append(bar);
      }
      return side;
    });
    this.told.replaceChildren(line, ...sides);
  }
}

export class StripBoard {
  constructor(parent) {
    this.strips = new Map();
    this.root = make("section", "bl-strips");
    this.root.setAttribute("aria-label", "Pinned sentences, by word and step");
    const bar = make("div", "bl-strips-bar");
    this.link = make("span", "bl-strips-link", "Connecting");
    this.link.setAttribute("role", "status");
    this.legend = make("span", "bl-strips-legend");
    this.legend.append(make("span", "", "alike"), make("i"), make("span", "", "apart"));
    this.legend.title = "Jensen–Shannon divergence by ln 2, from 0 to 1; the colour follows its square root";
    const csv = make("button", "", "CSV");
    csv.type = "button";
    csv.setAttribute("aria-label", "Download the strips as CSV");
    csv.addEventListener("click", () => this.save());
    bar.append(this.link, this.legend, csv);
    this.list = make("div", "bl-strips-list");
    this.root.append(bar, this.list);
    parent.append(this.root);
    this.book = new StripBook();
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.root);
    this.watch = setInterval(() => this.checkLook(), 500);
    this.visible = () => !document.hidden && this.soon(0);
    document.addEventListener("visibilitychange", this.visible);
  }

  update(data, renew) {
    const other = data.run !== this.data?.run || data.task !== this.data?.task || data.address !== this.data?.address;
    const renewed = data.token !== this.data?.token;
    this.data = data;
    this.renew = renew;
    if (renewed || other) this.token = data.token;
    if (other) this.book.clear();
    const known = new Set(data.pins.map((pin) => pin.id));
    for (const [id, strip] of this.strips) {
      if (known.has(id)) continue;
      strip.root.remove();
      this.strips.delete(id);
    }
    data.pins.forEach((pin, place) => {
      if (!this.strips.has(pin.id)) this.strips.set(pin.id, new Strip(pin));
      const { root } = this.strips.get(pin.id);
      // What is in its place stays untouched: an element that is moved loses the focus.
      if (this.list.children[place] !== root) this.list.insertBefore(root, this.list.children[place] ?? null);
    });
    this.checkLook();
    this.draw();
    if (other || (renewed && this.refused) || !this.timer || this.ended) this.soon(0);
  }

  soon(delay) {
    clearTimeout(this.timer);
    if (!this.closed) this.timer = setTimeout(() => this.pull(), delay);
  }

  async pull() {
    const { run, task, address } = this.data;
    let next = FAST;
    try {
      const query = new URLSearchParams({ after: this.book.cursor, name: this.book.name, token: this.token, ...(task ? { task } : {}) });
      const answer = await fetch(`${address}/${encodeURIComponent(run)}?${query}`, { cache: "no-store", credentials: "same-origin" });
      if (this.closed || run !== this.data.run || task !== this.data.task) return;
      if (answer.status === 401) {
        if (!this.refused) this.renew?.();
        this.refused = true;
        next = SLOW;
      } else if (!answer.ok) {
        throw new Error(String(answer.status));
      } else {
        const payload = await answer.json();
        this.refused = false;
        if (payload.token) this.token = payload.token;
        if (this.book.take(payload)) this.draw();
        this.ended = ENDED.has(payload.status);
        this.link.textContent = this.ended ? "Up to date" : payload.active ? "Live" : "Waiting";
        this.link.dataset.state = this.ended ? "ended" : payload.active ? "live" : "waiting";
        next = payload.more ? 0 : this.ended ? 2 * SLOW : document.hidden || !payload.active ? SLOW : FAST;
      }
    } catch {
      this.link.textContent = "Not connected, retrying";
      this.link.dataset.state = "lost";
      next = SLOW;
    }
    this.soon(next);
  }

  checkLook() {
    if (!this.data) return;
    const look = readLook(this.root, this.data.colours);
    if (look.stamp === this.look?.stamp) return;
    this.look = look;
    const ramp = rampOf(look, mix);
    const stops = [0, 0.05, 0.25, 0.5, 1].map((value) => `${ramp(value)} ${Math.round(100 * Math.sqrt(value))}%`);
    this.root.style.setProperty("--bl-ramp", `linear-gradient(to right, ${stops.join(",")})`);
    for (const [name, colour] of Object.entries({ ...look.signals, muted: look.muted, border: look.border, teacher: look.roles.teacher, student: look.roles.student })) {
      this.root.style.setProperty(`--bl-${name}`, colour);
    }
    this.draw();
  }

  draw() {
    if (!this.look || !this.data) return;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      for (const [id, strip] of this.strips) strip.draw(this.book.get(id), this.look);
    });
  }

  save() {
    const pins = this.data.pins.map((pin) => [pin, this.book.get(pin.id)]).filter(([, own]) => own);
    download(`${this.data.run}-pins.csv`, new Blob([stripsToCsv(pins)], { type: "text/csv" }));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.resize.disconnect();
    document.removeEventListener("visibilitychange", this.visible);
    this.root.remove();
  }
}

const mounted = new WeakMap();

/** Entry point: called at the first mount and again whenever the page's data or theme change. */
export function mount({ parentElement, data, setTriggerValue }) {
  let board = mounted.get(parentElement);
  if (!board || board.closed) {
    board = new StripBoard(parentElement);
    mounted.set(parentElement, board);
  }
  board.update(data, () => setTriggerValue("renew", Date.now()));
  return () => board.close();
}
