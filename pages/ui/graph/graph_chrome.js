// What stands around the picture: search, filters, legend, the word that is pointed at, and the same as a table.

import { communityColour } from "./graph_paint.js";

const MOST_COMMUNITIES = 5;
const MOST_ROWS = 500;
let mounts = 0;

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

export class Chrome {
  constructor(parent, on) {
    this.on = on;
    this.number = (mounts += 1);
    this.root = make("section", "bl-graph");
    this.root.setAttribute("aria-label", "Word graph");
    this.canvas = make("div", "bl-canvas");
    this.canvas.setAttribute("role", "img");
    this.tipBox = make("div", "bl-tip");
    this.tipBox.hidden = true;
    this.note = make("p", "bl-note");
    this.note.setAttribute("role", "status");
    const stage = make("div", "bl-stage");
    stage.append(this.canvas, this.zoomBar(), this.tipBox, this.note);
    this.legend = make("div", "bl-legend");
    this.table = make("details", "bl-table");
    this.table.append(make("summary", "", "The picture as a table"));
    this.table.addEventListener("toggle", () => this.table.open && this.fillTable());
    this.root.append(this.bar(), stage, this.legend, this.table);
    parent.append(this.root);
  }

  bar() {
    const bar = make("div", "bl-bar");
    const form = make("form", "bl-search");
    this.words = make("datalist");
    this.words.id = `bl-words-${this.number}`;
    this.field = make("input");
    Object.assign(this.field, { type: "search", placeholder: "Find a word", autocomplete: "off", spellcheck: false });
    this.field.setAttribute("list", this.words.id);
    this.field.setAttribute("aria-label", "Find a word in the picture");
    this.field.addEventListener("focus", () => this.listWords());
    this.field.addEventListener("input", (event) => {
      // A choice from the list comes without a key.
      if (!event.inputType || event.inputType === "insertReplacementText") this.find();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
    });
    form.append(this.field, this.words);
    const weak = make("label", "bl-field", "Hide weaker edges");
    this.slider = make("input");
    Object.assign(this.slider, { type: "range", min: 0, max: 0.95, step: 0.05, value: 0 });
    const shown = make("output", "", "0 %");
    this.slider.addEventListener("input", () => {
      shown.textContent = `${Math.round(this.slider.value * 100)} %`;
      cancelAnimationFrame(this.sliding);
      this.sliding = requestAnimationFrame(() => this.on.weakest(Number(this.slider.value)));
    });
    weak.append(this.slider, shown);
    const files = make("span", "bl-files");
    for (const format of ["png", "svg"]) {
      files.append(this.button(format.toUpperCase(), `Download the picture as ${format.toUpperCase()}`, () => this.on.save(format)));
    }
    bar.append(form, weak, make("span", "bl-space"), files);
    return bar;
  }

  zoomBar() {
    const bar = make("div", "bl-zoom");
    bar.append(this.button("+", "Zoom in", () => this.on.zoom(1.3)), this.button("−", "Zoom out", () => this.on.zoom(1 / 1.3)), this.button("Fit", "Show everything", () => this.on.fit()));
    return bar;
  }

  button(words, label, action) {
    const button = make("button", "bl-quiet", words);
    button.type = "button";
    button.setAttribute("aria-label", label);
    button.title = label;
    button.addEventListener("click", action);
    return button;
  }

  /** Offer the picture's words; nobody needs thousands of entries before he types. */
  listWords() {
    if (this.listed || !this.data) return;
    this.listed = true;
    this.words.replaceChildren(...this.data.nodes.map((node) => Object.assign(make("option"), { value: node.word })));
  }

  find() {
    const word = this.field.value.trim();
    if (word) this.on.search(word);
  }

  describe(data) {
    this.canvas.setAttribute("aria-label", data.words);
  }

  setView(data, hidden, folded) {
    this.data = data;
    this.listed = false;
    if (document.activeElement === this.field) this.listWords();
    this.drawLegend(hidden, folded);
    this.say("");
    if (this.table.open) this.fillTable();
  }

  drawLegend(hidden, folded) {
    this.hiddenTypes = hidden;
    this.foldedGroups = folded;
    const { data, look } = this;
    if (!data || !look) return;
    const counts = new Map();
    for (const edge of data.edges) counts.set(edge.type, (counts.get(edge.type) ?? 0) + 1);
    const edges = make("div", "bl-keys");
    edges.setAttribute("role", "group");
    edges.setAttribute("aria-label", "Edge types; press to hide");
    for (const [type, own] of Object.entries(data.types)) {
      if (!counts.has(type)) continue;
      const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      line.setAttribute("viewBox", "0 0 26 6");
      line.setAttribute("aria-hidden", "true");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, value] of Object.entries({ x1: 0, x2: 26, y1: 3, y2: 3, stroke: own.colour[look.mode], "stroke-width": 3, "stroke-dasharray": own.dash.join(" ") })) stroke.setAttribute(key, value);
      line.append(stroke);
      edges.append(this.key(line, own.name, counts.get(type), hidden.has(type), (shown) => this.on.type(type, shown)));
    }
    const present = new Map();
    for (const node of data.nodes) present.set(node.community, (present.get(node.community) ?? 0) + 1);
    const groups = make("div", "bl-keys");
    groups.setAttribute("role", "group");
    groups.setAttribute("aria-label", "Communities; press to fade");
    const known = (data.communities ?? []).filter((one) => present.has(one.id)).sort((a, b) => present.get(b.id) - present.get(a.id));
    for (const one of known.slice(0, MOST_COMMUNITIES)) {
      const dot = make("i", "bl-dot");
      dot.style.background = communityColour(one.id, look);
      groups.append(this.key(dot, one.name, present.get(one.id), folded.has(one.id), (shown) => this.on.community(one.id, shown)));
    }
    if (known.length > MOST_COMMUNITIES) groups.append(make("span", "bl-unit", `and ${known.length - MOST_COMMUNITIES} smaller communities`));
    this.legend.replaceChildren(edges, groups);
  }

  key(mark, name, count, off, change) {
    const button = make("button", "bl-key");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!off));
    button.append(mark, make("span", "", name), make("span", "bl-unit", String(count)));
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      change(shown);
    });
    return button;
  }

  fillTable() {
    const rows = [...this.data.edges].sort((a, b) => (b.role === "path") - (a.role === "path"));
    const names = new Map(this.data.nodes.map((node) => [node.id, node]));
    const table = make("table");
    const head = make("tr");
    for (const words of ["From", "To", "Edge", "Weight", "On the path"]) head.append(Object.assign(make("th", "", words), { scope: "col" }));
    table.append(make("caption", "bl-unit", rows.length > MOST_ROWS ? `${MOST_ROWS} of ${rows.length} edges` : `${rows.length} edges`), head);
    for (const edge of rows.slice(0, MOST_ROWS)) {
      const row = make("tr");
      for (const id of [edge.from, edge.to]) {
        const cell = make("td");
        const word = make("button", "bl-word", names.get(id)?.label ?? "");
        word.type = "button";
        word.addEventListener("click", () => this.on.pick(names.get(id)?.word));
        cell.append(word);
        row.append(cell);
      }
      row.append(make("td", "", this.data.types[edge.type]?.name ?? edge.type), make("td", "", Number(edge.weight).toPrecision(3)), make("td", "", edge.role === "path" ? "yes" : ""));
      table.append(row);
    }
    this.table.replaceChildren(this.table.firstElementChild, table);
  }

  tip(node, place, data) {
    this.tipBox.hidden = !node;
    if (!node) return;
    const group = (data.communities ?? []).find((one) => one.id === node.community);
    const facts = [`${Number(node.count ?? 0).toLocaleString("en")} occurrences`, node.tag, node.width ? `vector of ${node.width}` : "", group?.name].filter(Boolean);
    this.tipBox.replaceChildren(make("strong", "", node.label), make("span", "", facts.join(" · ")));
    const side = place.x > this.canvas.clientWidth / 2;
    this.tipBox.style.left = side ? "" : `${place.x + 18}px`;
    this.tipBox.style.right = side ? `${this.canvas.clientWidth - place.x + 18}px` : "";
    this.tipBox.style.top = `${Math.min(place.y + 8, this.canvas.clientHeight - 64)}px`;
  }

  hint(word) {
    this.note.replaceChildren();
    if (!word) return;
    this.note.append(make("b", "", word), " is chosen. Click a second word for the path between both; Esc lets go.");
  }

  say(words) {
    this.note.textContent = words;
  }

  setLook(look) {
    this.look = look;
    this.root.dataset.mode = look.mode;
    this.root.style.setProperty("--bl-muted", look.muted);
    this.root.style.setProperty("--bl-border", look.border);
    this.drawLegend(this.hiddenTypes ?? new Set(), this.foldedGroups ?? new Set());
  }

  remove() {
    this.root.remove();
  }
}
