// The freeze map: a row a stage, a cell a unit of the encoder. One per mount, changed in place, so that the keyboard's
// focus stays where it is while the page reruns. Words go in as text only.

const element = (name, className, parent) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  parent?.appendChild(made);
  return made;
};

class FreezeMap {
  constructor(parent) {
    this.root = element("div", "bl-map", parent);
    this.root.map = this;
    const frame = element("div", "bl-frame", this.root);
    this.table = element("table", "", frame);
    this.table.setAttribute("role", "grid");
    // On a narrow screen cells have no room for words: what was touched last is said here.
    this.told = element("div", "bl-told", this.root);
    this.told.setAttribute("aria-live", "polite");
    this.legend = element("div", "bl-legend", this.root);
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => this.move(event));
  }

  update(data, send) {
    this.send = send;
    this.table.setAttribute("aria-label", data.label);
    const shape = JSON.stringify([data.units, data.rows.map((row) => row.id), data.several]);
    if (shape !== this.shape) this.build(data);
    this.shape = shape;
    data.rows.forEach((row, index) => this.paint(row, index));
    this.tell();
    this.explain(data.legend);
  }

  build(data) {
    this.table.replaceChildren();
    const head = element("tr", "", element("thead", "", this.table));
    if (data.several) element("td", "", head);
    for (const unit of data.units) {
      const cell = element("th", "", head);
      cell.scope = "col";
      cell.textContent = unit.short;
      cell.title = unit.name;
    }
    const last = element("th", "bl-share", head);
    last.scope = "col";
    last.textContent = "trained";
    const body = element("tbody", "", this.table);
    this.rows = data.rows.map((row) => {
      const line = element("tr", "", body);
      let name = null;
      if (data.several) {
        const holder = element("th", "bl-name", line);
        holder.scope = "row";
        name = element("button", "", holder);
        name.type = "button";
        name.dataset.open = row.id;
      }
      const cells = data.units.map((unit) => {
        const button = element("button", "bl-cell", element("td", "", line));
        button.type = "button";
        button.dataset.stage = row.id;
        button.dataset.unit = unit.name;
        button.tabIndex = -1;
        return button;
      });
      return { line, name, cells, share: element("td", "bl-share", line) };
    });
    const first = this.rows[0]?.cells[0];
    if (first) first.tabIndex = 0;
  }

  paint(row, index) {
    const { line, name, cells, share } = this.rows[index];
    line.classList.toggle("bl-off", !row.on);
    if (name) {
      name.textContent = row.name;
      name.title = `${row.name}: open or close its fields`;
    }
    share.textContent = row.share;
    row.cells.forEach((cell, at) => {
      const button = cells[at];
      button.textContent = cell.text;
      button.title = cell.title;
      button.setAttribute("aria-label", cell.title);
      button.setAttribute("aria-pressed", String(cell.state !== "frozen"));
      button.setAttribute("aria-disabled", String(!cell.click));
      button.dataset.state = cell.state;
      button.style.setProperty("--bl-strength", `${Math.round(22 + 70 * cell.strength)}%`);
      button.classList.toggle("bl-strong", cell.state === "trained" && cell.strength > 0.72);
    });
  }

  explain(legend) {
    this.legend.replaceChildren();
    const item = (swatch, words) => {
      const part = element("span", "", this.legend);
      if (swatch) element("i", swatch, part);
      part.append(words);
    };
    if (legend.low) {
      const part = element("span", "", this.legend);
      part.append(legend.low);
      if (legend.high !== legend.low) {
        element("i", "bl-scale", part);
        part.append(legend.high);
      } else element("i", "bl-full", part);
    }
    item("bl-frozen", "frozen");
    if (legend.searched) item("bl-searched", "searched");
    item("", legend.hint);
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.open) return this.send("open", { stage: Number(button.dataset.open), click: Date.now() });
    this.focus(button);
    if (button.getAttribute("aria-disabled") === "true") return;
    this.send("cell", { stage: Number(button.dataset.stage), unit: button.dataset.unit, click: Date.now() });
  }

  /** One cell can be reached by Tab, the others by the arrow keys. */
  focus(button) {
    for (const row of this.rows) for (const cell of row.cells) cell.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
    this.touched = button;
    this.tell();
  }

  tell() {
    const words = this.touched?.isConnected ? this.touched.title : "";
    if (this.told.textContent !== words) this.told.textContent = words;
  }

  move(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -99], End: [0, 99] };
    const step = steps[event.key];
    const row = this.rows.findIndex((one) => one.cells.includes(event.target));
    if (!step || row < 0) return;
    event.preventDefault();
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    const line = this.rows[within(row + step[0], this.rows.length - 1)];
    const at = this.rows[row].cells.indexOf(event.target) + step[1];
    this.focus(line.cells[within(at, line.cells.length - 1)]);
  }
}

const mounted = new WeakMap();

export function mount({ parentElement, data, setTriggerValue }) {
  let map = mounted.get(parentElement);
  if (!map || !map.root.isConnected) {
    map = new FreezeMap(parentElement);
    mounted.set(parentElement, map);
  }
  map.update(data, setTriggerValue);
  return () => {};
}
