// How words, edges and labels of the picture look; also as SVG and PNG.

import { mix } from "./look.js";

const MOST_LABELS = 90;
const SVG = "http://www.w3.org/2000/svg";

/** Rank of each edge's weight among those of its type, 0 to 1: weights of different types have different units. */
export function strengths(edges) {
  const byType = new Map();
  for (const { type } of edges) byType.set(type, []);
  edges.forEach((edge, at) => byType.get(edge.type).push(at));
  const share = new Array(edges.length).fill(1);
  for (const members of byType.values()) {
    members.sort((a, b) => edges[a].weight - edges[b].weight);
    members.forEach((at, rank) => (share[at] = members.length > 1 ? rank / (members.length - 1) : 1));
  }
  return share;
}

export function communityColour(community, look) {
  return community === null || community === undefined || community < 0 ? look.muted : look.categorical[community % look.categorical.length];
}

/** A colour, so far faded into the page: covering, so that no edge shines through. */
function faded(colour, look, share) {
  return share >= 1 ? colour : mix(look.background, colour, share);
}

export function paintNode(node, look, { folded, armed, grow }) {
  const onPath = node.role === "path";
  const share = onPath || armed ? 1 : folded ? 0.15 : node.role === "context" ? 0.45 : 0.85;
  const base = faded(onPath ? look.signals.path : communityColour(node.community, look), look, share);
  const border = armed ? look.text : look.background;
  const own = { background: base, border };
  return {
    size: grow * Math.max(onPath ? 11 : 4, 0.8 * (node.size ?? 0)),
    borderWidth: armed || onPath ? 4 : 1.5,
    borderWidthSelected: 4,
    color: { ...own, highlight: { background: base, border: look.text }, hover: { background: base, border: look.text } },
  };
}

export function paintEdge(edge, share, look, types) {
  const onPath = edge.role === "path";
  const own = types[edge.type];
  const colour = own?.colour?.[look.mode] ?? look.muted;
  const strength = edge.role === "context" ? 0.55 : 1;
  return {
    color: { color: colour, highlight: colour, hover: colour, inherit: false, opacity: onPath ? 1 : strength * (0.22 + 0.38 * share) },
    width: onPath ? 4 : 0.8 + 1.2 * share,
    dashes: own?.dash?.length ? own.dash : false,
    ...(onPath && {
      arrows: { to: { enabled: true, scaleFactor: 0.8, type: "arrow" } },
      smooth: { enabled: true, type: "curvedCW", roundness: 0.08 },
    }),
  };
}

/** Words in the order in which they get room: the path, what is pointed at, then by size. */
function ranked(picture) {
  const first = (node) => (node.role === "path" ? 3 : node.id === picture.armed || node.id === picture.hovered ? 2 : node.role === "focus" ? 1 : 0);
  return [...picture.byId.values()].sort((a, b) => first(b) - first(a) || (a.role === "context") - (b.role === "context") || (b.size ?? 0) - (a.size ?? 0));
}

function shorten(word) {
  const signs = [...word];
  return signs.length > 24 ? `${signs.slice(0, 23).join("")}…` : word;
}

/** Where labels stand, in pixels of the picture: none lies on another one. */
function placeLabels(picture, measure, width, height) {
  const { network, look } = picture;
  const scale = network.getScale();
  const taken = [];
  const placed = [];
  for (const node of ranked(picture)) {
    if (!network.body.nodes[node.id]) continue;
    const { x, y } = network.canvasToDOM(network.getPosition(node.id));
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
    const strong = node.role === "path" || node.id === picture.armed || node.id === picture.hovered;
    if (!strong && picture.folded.has(node.community)) continue;
    const size = strong ? 16 : Math.round(Math.min(14, 10.5 + (node.size ?? 0) / 7));
    const font = `${strong ? 650 : 450} ${size}px ${look.font}`;
    const text = shorten(node.label);
    const wide = measure(font, text);
    const radius = picture.nodes.get(node.id).size * scale;
    const spots = [[x - wide / 2, y + radius + 3], [x + radius + 5, y - size / 2], [x - wide / 2, y - radius - size - 5], [x - radius - wide - 5, y - size / 2]];
    const box = spots.map(([left, top]) => [left - 2, top - 1, left + wide + 2, top + size + 3]).find((one) => !taken.some((other) => one[0] < other[2] && one[2] > other[0] && one[1] < other[3] && one[3] > other[1]));
    if (!box && !strong) continue;
    const [left, top] = box ? [box[0] + 2, box[1] + 1] : spots[0];
    taken.push(box ?? [left, top, left + wide, top + size]);
    placed.push({ text, left, top, size, font, strong });
    if (placed.length > MOST_LABELS) break;
  }
  return placed;
}

const widths = new Map();

function measurer(context) {
  return (font, text) => {
    const key = `${font}|${text}`;
    if (!widths.has(key)) {
      context.font = font;
      widths.set(key, context.measureText(text).width);
      if (widths.size > 5000) widths.clear();
    }
    return widths.get(key) ?? context.measureText(text).width;
  };
}

/** Draw the labels over the picture, at the same size at every zoom; returns how many found room. */
export function labels(context, picture, holder) {
  if (!picture.byId || !picture.look) return 0;
  const ratio = context.canvas.width / holder.clientWidth;
  if (!Number.isFinite(ratio)) return 0;
  context.save();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.textBaseline = "top";
  context.textAlign = "left";
  context.lineJoin = "round";
  const placed = placeLabels(picture, measurer(context), holder.clientWidth, holder.clientHeight);
  for (const label of placed.reverse()) {
    context.font = label.font;
    context.lineWidth = 4;
    context.strokeStyle = picture.look.background;
    context.strokeText(label.text, label.left, label.top);
    context.fillStyle = label.strong ? picture.look.text : picture.look.muted;
    context.fillText(label.text, label.left, label.top);
  }
  context.restore();
  return placed.length;
}

export function asPng(picture) {
  const own = picture.network.canvas.frame.canvas;
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [own.width, own.height];
  const context = copy.getContext("2d");
  context.fillStyle = picture.look.background;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(own, 0, 0);
  return new Promise((resolve) => copy.toBlob(resolve, "image/png"));
}

/** The part that is seen now, as an SVG document. */
export function asSvg(picture) {
  const { clientWidth: width, clientHeight: height } = picture.chrome.canvas;
  const { network, look } = picture;
  const root = document.createElementNS(SVG, "svg");
  const add = (name, values, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    root.append(element);
  };
  for (const [key, value] of Object.entries({ xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` })) root.setAttribute(key, value);
  add("rect", { width, height, fill: look.background });
  const at = (id) => network.canvasToDOM(network.getPosition(id));
  const scale = network.getScale();
  for (const edge of picture.edges.get({ filter: (one) => !one.hidden })) {
    const [from, to] = [at(edge.from), at(edge.to)];
    const dash = edge.dashes ? { "stroke-dasharray": edge.dashes.map((part) => part * scale).join(" ") } : {};
    add("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, stroke: edge.color.color, "stroke-opacity": edge.color.opacity, "stroke-width": edge.width * scale, ...dash });
  }
  for (const node of picture.nodes.get()) {
    const { x, y } = at(node.id);
    add("circle", { cx: x, cy: y, r: node.size * scale, fill: node.color.background, stroke: node.color.border, "stroke-width": node.borderWidth * scale });
  }
  const context = document.createElement("canvas").getContext("2d");
  for (const label of placeLabels(picture, measurer(context), width, height)) {
    add("text", { x: label.left, y: label.top + label.size * 0.82, "font-size": label.size, "font-weight": label.strong ? 650 : 450, "font-family": look.font.replaceAll('"', "'"), fill: label.strong ? look.text : look.muted, stroke: look.background, "stroke-width": 3, "paint-order": "stroke" }, label.text);
  }
  return new XMLSerializer().serializeToString(root);
}
