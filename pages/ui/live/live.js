// The live plot: one per mount, kept while the page reruns. Everything that a person wrote goes in as text.

import { Feed } from "./feed.js";
import { readLook } from "./look.js";
import { PANELS, bordersOf, buildLayout, buildTraces } from "./panels.js";
import { MOST_POINTS, SeriesBook, toCsv } from "./series.js";
import { View, download } from "./view.js";

const TIME_UNITS = [
  { name: "s", seconds: 1, below: 240 },
  { name: "min", seconds: 60, below: 14400 },
  { name: "h", seconds: 3600, below: Infinity },
];
let library = null;

function loadPlotly(address) {
  library ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error("no Plotly")));
    script.onerror = () => {
      library = null;
      script.remove();
      reject(new Error("Plotly could not be loaded"));
    };
    document.head.appendChild(script);
  });
  return library;
}

export class LivePlot {
  constructor(parent, kind) {
    this.panels = PANELS[kind] ?? PANELS.train;
    this.book = new SeriesBook();
    this.events = [];
    this.state = {};
    this.options = { smoothing: 0.8, log: false, x: "step", events: true, revision: 1, timeUnit: TIME_UNITS[0] };
    this.drawn = new Map();
    this.view = new View(parent, this.panels, {
      change: (name, value) => this.setOption(name, value),
      reset: () => this.reset(),
      csv: (panel) => this.saveCsv(panel),
      image: (panel, format) => this.saveImage(panel, format),
    }, this.options);
    this.feed = new Feed({
      batch: (payload, replace) => this.take(payload, replace),
      link: (state, words) => this.view.showLink(state, words),
      renew: () => this.renew?.(),
    });
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.view.root);
    this.watch = setInterval(() => this.checkLook(), 500);
    this.holdWhileDragged();
  }

  /** While a box is drawn with the mouse nothing is drawn anew: an axis that moved below it would show another stretch. */
  holdWhileDragged() {
    this.ends = new AbortController();
    const { signal } = this.ends;
    const release = () => {
      if (!this.held) return;
      const { whole } = this.held;
      this.held = null;
      // Plotly's own answer to the mouse comes first.
      setTimeout(() => this.alive() && whole !== undefined && this.draw(whole), 50);
    };
    this.view.root.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".draglayer")) this.held = {};
    }, { capture: true, signal });
    for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, release, { capture: true, signal });
    // A button that was let go outside the window is told by the next move.
    window.addEventListener("pointermove", (event) => event.buttons || release(), { capture: true, signal });
  }

  update(data, renew) {
    this.data = data;
    this.renew = renew;
    if (this.feed.follow(data.run, data.series, data.token)) {
      this.book.clear();
      this.events = [];
      this.state = {};
      this.options.revision += 1;
      this.view.clear();
      this.structure = null;
    }
    this.checkLook();
    this.ready ??= loadPlotly(data.plotly).then(
      (plotly) => {
        this.plotly = plotly;
        this.draw(true);
      },
      () => {
        this.ready = null;
        this.view.showLink("lost", "The plots could not be loaded, retrying");
        setTimeout(() => this.alive() && this.update(this.data, this.renew), 2000);
      },
    );
  }

  alive() {
    return !this.closed;
  }

  take(payload, replace) {
    this.state = payload;
    if (replace) this.events = [];
    this.events.push(...payload.events);
    const kind = this.book.take(payload.series, replace);
    if (payload.events.length || replace) this.view.showEvents(this.events);
    if (this.book.longest() > MOST_POINTS) {
      this.feed.rewind();
      this.feed.soon();
      return;
    }
    const finished = JSON.stringify(payload.metrics) !== this.metrics;
    this.metrics = JSON.stringify(payload.metrics);
    if (kind || payload.events.length || finished) this.draw(kind !== "append" || payload.events.length > 0 || finished);
  }

  setOption(name, value) {
    this.options[name] = value;
    if (name === "x" || name === "log") this.options.revision += 1;
    this.draw(true);
  }

  reset() {
    this.options.revision += 1;
    this.draw(true);
  }

  checkLook() {
    if (!this.data) return;
    const look = readLook(this.view.root, this.data.colours);
    if (look.stamp === this.look?.stamp) return;
    this.look = look;
    this.view.setLook(look);
    this.draw(true);
  }

  pickTimeUnit() {
    let most = 0;
    for (const name of this.book.names()) {
      const { times } = this.book.get(name);
      most = Math.max(most, this.book.elapsed(times[times.length - 1]));
    }
    return TIME_UNITS.find((unit) => most < unit.below);
  }

  /** First and last x of the run so far. */
  span() {
    const own = this.book.get("train/loss") ?? this.book.get(this.book.names()[0]);
    if (!own) return [0];
    const end = own.steps.length - 1;
    return [0, this.options.x === "time" ? this.book.elapsed(own.times[end]) / this.options.timeUnit.seconds : own.steps[end]];
  }

  /** Draw all panels; `whole` builds them anew, otherwise only what came after the drawn points is added. */
  draw(whole) {
    if (!this.plotly || !this.look) return;
    if (this.held) {
      this.held.whole = this.held.whole || whole;
      return;
    }
    if (this.options.x === "time") {
      const unit = this.pickTimeUnit();
      whole ||= unit !== this.options.timeUnit;
      this.options.timeUnit = unit;
    }
    const best = this.state.progress?.best;
    const extra = { metric: best?.metric?.replace(/^gate\//, "") ?? this.data.metric, metrics: this.state.metrics, lines: this.data.lines };
    for (const panel of this.panels) this.drawPanel(panel, whole, extra);
  }

  drawPanel(panel, whole, extra) {
    const place = this.view.plot(panel.id);
    const traces = buildTraces(panel, this.book, this.events, this.options, this.look, extra);
    this.view.showEmpty(panel.id, traces.length === 0);
    if (!traces.length) {
      if (this.drawn.has(panel.id)) this.plotly.purge(place);
      this.drawn.delete(panel.id);
      return;
    }
    const borders = bordersOf(this.book, this.events, this.options);
    // A stage that begins while one looks on is no new point of a curve: it needs a new layout.
    const marks = borders.map((border) => `${border.x}/${border.name}/${border.attempt}`);
    const shape = [...traces.map((trace) => `${trace.uid}/${trace.mode}`), ...marks].join("|");
    const before = this.drawn.get(panel.id);
    const lengths = traces.map((trace) => trace.x.length);
    this.drawn.set(panel.id, { shape, lengths });
    if (!whole && before?.shape === shape) {
      const grown = traces.map((_, i) => i).filter((i) => lengths[i] > before.lengths[i]);
      if (!grown.length) return;
      const tail = (axis) => grown.map((i) => traces[i][axis].slice(before.lengths[i]));
      this.plotly.extendTraces(place, { x: tail("x"), y: tail("y") }, grown);
      return;
    }
    const layout = buildLayout(panel, this.options, this.look, this.view.size(panel, traces), this.span(), borders);
    const config = { displayModeBar: false, responsive: false, doubleClick: "reset", scrollZoom: false, showTips: false };
    this.plotly.react(place, traces, layout, config).then(() => {
      if (place.dataset.linked) return;
      place.dataset.linked = "1";
      place.on("plotly_relayout", (change) => this.linkZoom(panel, change));
    });
  }

  /** A range chosen in one panel is shown in all: they have the same x axis. */
  linkZoom(panel, change) {
    if (this.linking) return;
    const range = change["xaxis.range[0]"] !== undefined ? [change["xaxis.range[0]"], change["xaxis.range[1]"]] : change["xaxis.range"];
    const wanted = range ? { "xaxis.range": range } : change["xaxis.autorange"] ? { "xaxis.autorange": true } : null;
    if (!wanted) return;
    this.linking = true;
    const others = this.panels.filter((other) => other !== panel && this.drawn.has(other.id));
    Promise.all(others.map((other) => this.plotly.relayout(this.view.plot(other.id), structuredClone(wanted)))).finally(() => {
      this.linking = false;
    });
  }

  fit() {
    if (!this.plotly) return;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      for (const id of this.drawn.keys()) this.plotly.Plots.resize(this.view.plot(id));
    });
  }

  saveCsv(panel) {
    const names = panel ? panel.traces(this.book, { metric: this.data.metric }).map(([name]) => name) : this.book.names();
    download(`${this.data.run}${panel ? `-${panel.id}` : ""}.csv`, new Blob([toCsv(this.book, names)], { type: "text/csv" }));
  }

  saveImage(panel, format) {
    if (!this.drawn.has(panel.id)) return;
    // A file has no page behind it: it gets the title and the background that the page shows.
    const place = this.view.plot(panel.id);
    const layout = { ...structuredClone(place.layout), paper_bgcolor: this.look.background, title: { text: `${panel.title} (${panel.unit})`, font: { size: 15 } } };
    layout.margin = { ...layout.margin, t: 64 };
    const size = { width: 960, height: 540 };
    this.plotly.toImage({ data: place.data, layout }, { format, ...size, scale: format === "png" ? 2 : 1 }).then((address) => {
      download(`${this.data.run}-${panel.id}.${format}`, address);
    });
  }

  close() {
    this.closed = true;
    clearInterval(this.watch);
    this.ends.abort();
    this.resize.disconnect();
    this.feed.close();
    if (this.plotly) for (const id of this.drawn.keys()) this.plotly.purge(this.view.plot(id));
    this.view.remove();
  }
}

const mounted = new WeakMap();

/** Entry point: called at the first mount and again whenever the page's data or theme change. */
export function mount({ parentElement, data, setTriggerValue }) {
  let plot = mounted.get(parentElement);
  if (!plot || plot.closed) {
    plot = new LivePlot(parentElement, data.kind);
    mounted.set(parentElement, plot);
  }
  plot.update(data, () => setTriggerValue("renew", Date.now()));
  return () => plot.close();
}
