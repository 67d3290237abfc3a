// The picture of a word graph: one per mount, kept while the page reruns. Words go in as text only, never as HTML.

import { Chrome } from "./graph_chrome.js";
import { asSvg, asPng, labels, paintEdge, paintNode, strengths } from "./graph_paint.js";
import { readLook } from "./look.js";

let library = null;

function loadVis(address) {
  library ??= new Promise((resolve, reject) => {
    if (window.vis?.Network) return resolve(window.vis);
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => (window.vis?.Network ? resolve(window.vis) : reject(new Error("no vis-network")));
    script.onerror = () => {
      library = null;
      script.remove();
      reject(new Error("vis-network could not be loaded"));
    };
    document.head.appendChild(script);
  });
  return library;
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const motion = () => (still() ? false : { duration: 350, easingFunction: "easeInOutQuad" });

/** Strengths are painted in steps: a few edges more would otherwise change the rank, and so the look, of all others. */
const level = (share) => Math.round(share * 8) / 8;

export class WordNetwork {
  constructor(parent) {
    this.hidden = new Set();
    this.folded = new Set();
    this.weakest = 0;
    this.chrome = new Chrome(parent, {
      type: (name, shown) => this.toggle(this.hidden, name, shown),
      community: (id, shown) => this.toggle(this.folded, id, shown),
      weakest: (share) => {
        this.weakest = share;
        this.refresh();
      },
      search: (word) => this.search(word),
      pick: (word) => this.pick(this.idOf(word)),
      fit: () => this.fit(),
      zoom: (factor) => this.network?.moveTo({ scale: this.network.getScale() * factor, animation: motion() }),
      save: (format) => this.save(format),
    });
    this.chrome.root.picture = this;
    this.resize = new ResizeObserver(() => this.network?.redraw());
    this.resize.observe(this.chrome.canvas);
    this.watch = setInterval(() => this.checkLook(), 500);
  }

  update(data, send) {
    this.send = send;
    const before = this.data;
    this.data = data;
    this.chrome.describe(data);
    if (document.hidden) this.tell(); // a tab that nobody sees draws nothing
    if (before?.stamp === data.stamp && before?.graph === data.graph) {
      this.checkLook();
      if (before.selected !== data.selected) this.select(data.selected);
      return;
    }
    if (before?.graph !== data.graph) {
      this.folded.clear();
      this.armed = null;
    }
    this.chrome.setView(data, this.hidden, this.folded);
    this.share = strengths(data.edges);
    this.ready ??= loadVis(data.vis).then((vis) => (this.vis = vis));
    this.ready.then(
      () => !this.closed && this.show(before),
      () => {
        this.ready = null;
        this.chrome.say("The picture could not be loaded, retrying");
        setTimeout(() => {
          if (this.closed || this.ready) return;
          this.data = null;
          this.update(data, send);
        }, 2000);
      },
    );
  }

  /** Put the view's words and edges into the network; the zoom stays unless another kind of view came. */
  show(before) {
    const { data } = this;
    this.look ?? this.checkLook();
    const sameView = before && this.network && before.fit === data.fit;
    // A large picture is seen from far away: its words stay large enough to be pointed at.
    if (!sameView) this.grow = Math.min(2.6, Math.max(1, 0.8 / this.scaleOf(data.nodes)));
    const nodes = data.nodes.map((node) => this.nodeOf(node));
    const edges = data.edges.map((edge, at) => this.edgeOf(edge, at));
    if (!this.network) {
      this.build(nodes, edges);
    } else {
      // A picture that is drawn half-way holds words of neither view.
      this.byId = new Map();
      this.keep(this.edges, edges);
      this.keep(this.nodes, nodes);
      this.put(this.nodes, nodes);
      this.put(this.edges, edges);
    }
    this.byId = new Map(data.nodes.map((node) => [node.id, node]));
    this.path = new Set(data.nodes.filter((node) => node.role === "path").map((node) => node.id));
    this.select(data.selected);
    if (!sameView) this.fit(false);
    else if (!this.inSight(this.path)) this.fitPath();
    const { root } = this.chrome;
    root.dataset.shown = edges.filter((edge) => !edge.hidden).length;
    root.dataset.nodes = data.nodes.length;
    root.dataset.edges = data.edges.length;
    root.dataset.stamp = data.stamp;
  }

  /** The zoom at which all words are seen, before any is drawn. */
  scaleOf(nodes) {
    const range = (axis) => Math.max(1, Math.max(...nodes.map((one) => one[axis])) - Math.min(...nodes.map((one) => one[axis])));
    const { clientWidth, clientHeight } = this.chrome.canvas;
    return Math.min(1.6, clientWidth / (1.1 * range("x") + 60), clientHeight / (1.1 * range("y") + 60)) * 0.92;
  }

  build(nodes, edges) {
    this.nodes = new this.vis.DataSet(nodes);
    this.edges = new this.vis.DataSet(edges);
    const texts = (items) => new Map(items.map((item) => [item.id, JSON.stringify(item)]));
    this.held = new Map([[this.nodes, texts(nodes)], [this.edges, texts(edges)]]);
    this.network = new this.vis.Network(this.chrome.canvas, { nodes: this.nodes, edges: this.edges }, {
      physics: false,
      layout: { improvedLayout: false },
      interaction: {
        dragNodes: false, hover: true, multiselect: false, selectConnectedEdges: false, tooltipDelay: 1e9,
        keyboard: { enabled: true, bindToWindow: false, autoFocus: false, speed: { x: 12, y: 12, zoom: 0.03 } },
      },
      nodes: { shape: "dot" },
      edges: { smooth: false, scaling: { label: { enabled: false } }, selectionWidth: 0, hoverWidth: 0 },
    });
    this.network.on("click", (event) => this.clicked(event));
    this.network.on("hoverNode", ({ node }) => this.hover(node));
    this.network.on("blurNode", () => this.hover(null));
    this.network.on("afterDrawing", (context) => this.paintLabels(context));
    this.network.on("resize", () => this.chrome.canvas.clientWidth && !this.moved && this.fit(false));
    for (const name of ["dragEnd", "zoom"]) this.network.on(name, () => (this.moved = true));
    this.chrome.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.pick(null);
    });
    // Without this the page scrolls at the first click, and the click misses its word.
    this.chrome.canvas.addEventListener("pointerdown", () => this.network.canvas.frame.focus({ preventScroll: true }), { capture: true });
    // The page scrolls; the picture zooms with Ctrl, the buttons or two fingers, or once it has been clicked into.
    this.chrome.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.network.canvas.frame) event.stopImmediatePropagation();
    }, { capture: true, passive: true });
  }

  nodeOf(node) {
    const own = paintNode(node, this.look, { folded: this.folded.has(node.community), armed: node.id === this.armed, grow: this.grow ?? 1 });
    return { id: node.id, x: node.x, y: node.y, ...own };
  }

  edgeOf(edge, at) {
    const low = this.share[at] < this.weakest && edge.role !== "path";
    const hidden = low || (this.hidden.has(edge.type) && edge.role !== "path");
    // On the path it is another line: what only such lines have is then left out of all others.
    const id = `${edge.type} ${edge.from} ${edge.to}${edge.role === "path" ? " path" : ""}`;
    return { id, from: edge.from, to: edge.to, hidden, ...paintEdge(edge, level(this.share[at]), this.look, this.data.types) };
  }

  /** Hand the network what differs from what it holds: of a large picture a new path changes little. */
  put(set, items) {
    const held = this.held.get(set);
    const changed = items.filter((item) => {
      const text = JSON.stringify(item);
      if (held.get(item.id) === text) return false;
      held.set(item.id, text);
      return true;
    });
    if (changed.length) set.update(changed);
  }

  /** Take out of the network what is not among these. */
  keep(set, items) {
    const held = this.held.get(set);
    const kept = new Set(items.map((item) => item.id));
    const gone = [...held.keys()].filter((id) => !kept.has(id));
    for (const id of gone) held.delete(id);
    if (gone.length) set.remove(gone);
  }

  /** Draw everything anew with the present filters and colours; nothing moves. */
  refresh() {
    if (!this.network) return;
    this.put(this.nodes, this.data.nodes.map((node) => this.nodeOf(node)));
    const edges = this.data.edges.map((edge, at) => this.edgeOf(edge, at));
    this.put(this.edges, edges);
    this.chrome.root.dataset.shown = edges.filter((edge) => !edge.hidden).length;
  }

  toggle(set, name, shown) {
    if (shown) set.delete(name);
    else set.add(name);
    this.refresh();
  }

  idOf(word) {
    return this.data.nodes.find((node) => node.word === word)?.id ?? null;
  }

  /** First click: the word's neighbourhood; a second one on another word: the path between both. */
  clicked({ nodes: [id] }) {
    if (id === undefined) return this.pick(null);
    const from = this.armed === null || this.armed === undefined ? null : this.byId.get(this.armed);
    if (from && this.armed !== id) {
      const pair = [from.word, this.byId.get(id).word];
      this.select(null);
      this.chrome.hint(null);
      return this.send("pair", { pair, at: Date.now() });
    }
    this.pick(id);
  }

  pick(id) {
    const node = id === null || id === undefined ? null : this.byId?.get(id);
    this.select(node?.word ?? null);
    this.send("node", { word: node?.word ?? null, at: Date.now() });
  }

  select(word) {
    const id = word === null || word === undefined ? null : this.idOf(word);
    if (id === this.armed) return;
    const changed = [this.armed, id].filter((one) => one !== null && one !== undefined && this.byId?.has(one));
    this.armed = id;
    this.chrome.hint(word && id !== null ? word : null);
    if (this.nodes) this.put(this.nodes, changed.map((one) => this.nodeOf(this.byId.get(one))));
  }

  search(word) {
    const id = this.idOf(word);
    if (id === null) {
      this.chrome.say(`${word} is not in this picture; asking for its neighbourhood`);
      this.send("seek", { word, at: Date.now() });
      return;
    }
    this.chrome.say("");
    this.network.focus(id, { scale: Math.max(1.1, this.network.getScale()), animation: motion() });
    this.pick(id);
  }

  hover(id) {
    this.hovered = id;
    const node = id === null ? null : this.byId.get(id);
    this.chrome.tip(node, node && this.network.canvasToDOM(this.network.getPosition(id)), this.data);
    this.network.redraw();
  }

  fit(animated = true) {
    if (!this.network) return;
    this.moved = false;
    this.network.fit({ animation: false, maxZoomLevel: 1.6, minZoomLevel: 0.05 });
    // Room for the labels at the edge.
    this.network.moveTo({ scale: this.network.getScale() * 0.92, animation: animated && motion() });
  }

  /** Bring the path into sight, at the same zoom where it fits. */
  fitPath() {
    if (!this.path.size) return;
    const places = [...this.path].map((id) => this.network.getPosition(id));
    const middle = (axis) => (Math.min(...places.map((one) => one[axis])) + Math.max(...places.map((one) => one[axis]))) / 2;
    const range = (axis) => Math.max(...places.map((one) => one[axis])) - Math.min(...places.map((one) => one[axis]));
    const { clientWidth, clientHeight } = this.chrome.canvas;
    const scale = Math.min(this.network.getScale(), clientWidth / (range("x") + 160), clientHeight / (range("y") + 120));
    this.network.moveTo({ position: { x: middle("x"), y: middle("y") }, scale, animation: motion() });
  }

  inSight(ids) {
    const { clientWidth, clientHeight } = this.chrome.canvas;
    return [...ids].every((id) => {
      if (!this.network.body.nodes[id]) return true;
      const { x, y } = this.network.canvasToDOM(this.network.getPosition(id));
      return x > 0 && y > 0 && x < clientWidth && y < clientHeight;
    });
  }

  paintLabels(context) {
    const shown = labels(context, this, this.chrome.canvas);
    this.chrome.root.dataset.labels = shown;
    this.chrome.root.dataset.scale = this.network.getScale().toFixed(4);
    this.chrome.root.dataset.painted = "1";
    this.chrome.root.dataset.drawn = this.chrome.root.dataset.stamp ?? "";
    this.tell();
  }

  /** Let the server know that the first picture is seen: the rest of the page waits for it. */
  tell() {
    const { told } = this.data;
    if (!told || told === this.told) return;
    this.told = told;
    const send = () => fetch(new URL(told, window.location.origin)).catch(() => {});
    if (document.hidden) send();
    else requestAnimationFrame(() => setTimeout(send));
  }

  checkLook() {
    if (!this.data) return;
    const look = readLook(this.chrome.root, this.data.colours);
    if (look.stamp === this.look?.stamp) return;
    this.look = look;
    this.chrome.setLook(look, this.data.types);
    this.refresh();
  }

  save(format) {
    if (!this.network) return;
    const name = `${this.data.file || "word-graph"}.${format}`;
    const made = format === "svg" ? new Blob([asSvg(this)], { type: "image/svg+xml" }) : asPng(this);
    // The picture is drawn without it, and it brings other modules along.
    Promise.all([import("./view.js"), made]).then(([{ download }, blob]) => download(name, blob));
  }

  close() {
    this.closed = true;
    clearInterval(this.watch);
    this.resize.disconnect();
    this.network?.destroy();
    this.chrome.remove();
  }
}

const mounted = new WeakMap();

/** Entry point: called at the first mount and again whenever the page's data change. */
export function mount({ parentElement, data, setTriggerValue }) {
  let picture = mounted.get(parentElement);
  if (!picture || picture.closed) {
    picture = new WordNetwork(parentElement);
    mounted.set(parentElement, picture);
  }
  picture.update(data, setTriggerValue);
  return () => picture.close();
}
