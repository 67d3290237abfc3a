// The elements around the plots: controls, cards, events, the state of the connection. Text goes in by textContent only.

import { markOf } from "./panels.js";

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function download(name, content) {
  const link = make("a");
  const address = content instanceof Blob ? URL.createObjectURL(content) : content;
  link.href = address;
  link.download = name;
  link.click();
  if (content instanceof Blob) setTimeout(() => URL.revokeObjectURL(address), 10000);
}

const LINK_WORDS = { live: "Live", waiting: "Waiting", ended: "Up to date" };
const EVENT_NAMES = { eval: "evaluation" };

export class View {
  constructor(parent, panels, on, options) {
    this.on = on;
    this.cards = new Map();
    this.root = make("section", "bl-live");
    this.root.setAttribute("aria-label", "Training curves");
    this.root.append(this.bar(options));
    const grid = make("div", "bl-grid");
    const cards = panels.map((panel) => this.card(panel));
    grid.append(...cards.slice(0, 2), this.eventCard(), ...cards.slice(2));
    this.root.append(grid);
    parent.append(this.root);
  }

  bar(options) {
    const bar = make("div", "bl-bar");
    this.link = make("span", "bl-link");
    this.link.setAttribute("role", "status");
    this.link.append(make("i", "bl-dot"), (this.linkText = make("span", "", "Connecting")));
    bar.append(this.link, make("span", "bl-space"));

    const smoothing = make("label", "bl-field", "Smoothing");
    const slider = make("input");
    Object.assign(slider, { type: "range", min: 0, max: 0.99, step: 0.01, value: options.smoothing });
    slider.setAttribute("aria-label", "Smoothing");
    const shown = make("output", "", Number(options.smoothing).toFixed(2));
    slider.addEventListener("input", () => {
      shown.textContent = Number(slider.value).toFixed(2);
      cancelAnimationFrame(this.sliding);
      this.sliding = requestAnimationFrame(() => this.on.change("smoothing", Number(slider.value)));
    });
    smoothing.append(slider, shown);

    const axis = make("div", "bl-choice");
    axis.setAttribute("role", "group");
    axis.setAttribute("aria-label", "Horizontal axis");
    for (const [value, words] of [["step", "Step"], ["time", "Time"]]) {
      const button = make("button", "", words);
      button.type = "button";
      button.dataset.x = value;
      button.setAttribute("aria-pressed", String(options.x === value));
      button.addEventListener("click", () => {
        for (const other of axis.children) other.setAttribute("aria-pressed", String(other === button));
        this.on.change("x", value);
      });
      axis.append(button);
    }
    const reset = this.button("Reset zoom", () => this.on.reset(), "bl-quiet bl-reset");
    const csv = this.button("CSV", () => this.on.csv(null), "bl-quiet bl-csv");
    csv.title = "Download all points that are shown as CSV";
    bar.append(smoothing, this.toggle("Log axis", "log", options.log), this.toggle("Events", "events", options.events), axis, reset, csv);
    return bar;
  }

  toggle(words, name, value) {
    const label = make("label", "bl-field");
    const box = make("input");
    box.type = "checkbox";
    box.checked = value;
    box.dataset.option = name;
    box.addEventListener("change", () => this.on.change(name, box.checked));
    label.append(box, make("span", "", words));
    return label;
  }

  button(words, action, name = "bl-quiet") {
    const button = make("button", name, words);
    button.type = "button";
    button.addEventListener("click", action);
    return button;
  }

  card(panel) {
    const card = make("figure", panel.wide ? "bl-card bl-wide" : "bl-card");
    card.dataset.panel = panel.id;
    const head = make("figcaption", "bl-head");
    head.append(make("strong", "", panel.title), make("span", "bl-unit", panel.unit));
    const tools = make("span", "bl-tools");
    head.append(tools);
    for (const [words, action] of [
      ["PNG", () => this.on.image(panel, "png")],
      ["SVG", () => this.on.image(panel, "svg")],
      ["CSV", () => this.on.csv(panel)],
    ]) {
      const button = this.button(words, action, "bl-tiny");
      button.setAttribute("aria-label", `Download ${panel.title} as ${words}`);
      tools.append(button);
    }
    const body = make("div", "bl-body");
    const plot = make("div", "bl-plot");
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${panel.title}, ${panel.unit}, by step`);
    const empty = make("p", "bl-empty", "Loading");
    body.append(plot, empty);
    card.append(head, body);
    this.cards.set(panel.id, { card, plot, empty, words: panel.empty, ended: panel.ended ?? panel.empty, wide: panel.wide });
    return card;
  }

  eventCard() {
    const card = make("section", "bl-card bl-events");
    const head = make("div", "bl-head");
    head.append(make("strong", "", "Events"), (this.eventCount = make("span", "bl-unit")));
    this.eventList = make("ol");
    this.eventList.setAttribute("aria-label", "Events, newest first");
    this.eventList.tabIndex = 0;
    card.append(head, this.eventList);
    this.showEvents([]);
    return card;
  }

  plot(id) {
    return this.cards.get(id).plot;
  }

  size(panel, traces) {
    const entry = this.cards.get(panel.id);
    const height = Math.max(entry.plot.clientHeight, 150);
    return { height, legend: traces.filter((trace) => trace.showlegend !== false).length > 1, touch: matchMedia("(pointer: coarse)").matches };
  }

  showEmpty(id, empty) {
    const entry = this.cards.get(id);
    entry.empty.textContent = this.link.dataset.state === "ended" ? entry.ended : entry.words;
    entry.empty.hidden = !empty;
  }

  showLink(state, words) {
    this.link.dataset.state = state;
    this.linkText.textContent = LINK_WORDS[state] ?? words;
    for (const [id, entry] of this.cards) if (entry.empty && !entry.empty.hidden && state === "ended") this.showEmpty(id, true);
  }

  showEvents(events) {
    // A new best says what its evaluation says.
    const bests = new Set(events.filter((event) => event.kind === "best").map((event) => event.step));
    const told = events.filter((event) => event.kind !== "eval" || !bests.has(event.step));
    const newest = told.slice(-200).reverse();
    this.eventCount.textContent = told.length ? String(told.length) : "";
    if (!newest.length) {
      this.eventList.replaceChildren(make("li", "bl-none", "Evaluations, checkpoints and decisions will be listed here."));
      return;
    }
    this.eventList.replaceChildren(...newest.map((event) => {
      const item = make("li");
      item.dataset.kind = event.kind;
      if (event.action) item.dataset.mark = markOf(event)[1];
      const line = make("div", "bl-when");
      const time = make("time", "", new Date(event.time * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
      time.dateTime = new Date(event.time * 1000).toISOString();
      const sign = make("span", "bl-sign", markOf(event)[2]);
      sign.setAttribute("aria-hidden", "true");
      line.append(sign, make("b", "bl-kind", EVENT_NAMES[event.kind] ?? event.kind), time);
      if (event.step !== null) line.append(make("span", "", `step ${event.step.toLocaleString("en")}`));
      item.append(line, make("div", "bl-words", event.message));
      return item;
    }));
  }

  setLook(look) {
    this.root.dataset.mode = look.mode;
    for (const [name, colour] of Object.entries(look.signals)) this.root.style.setProperty(`--bl-${name}`, colour);
    for (const [name, colour] of Object.entries(look.roles)) this.root.style.setProperty(`--bl-${name}`, colour);
    this.root.style.setProperty("--bl-muted", look.muted);
    this.root.style.setProperty("--bl-border", look.border);
  }

  clear() {
    this.showEvents([]);
    this.showLink("waiting", "");
    this.linkText.textContent = "Connecting";
  }

  remove() {
    this.root.remove();
  }
}
