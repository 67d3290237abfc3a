// What is drawn: six small plots, each a list of traces made from the book of series. No DOM here but Plotly's own.

import { smooth } from "./series.js";

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
/** Kind of event → symbol on the curve, its colour (a signal or a role), the same sign for the list of events. */
export const MARKS = {
  best: ["star", "good", "★"],
  checkpoint: ["diamond", "muted", "◆"],
  eval: ["circle", "gate", "●"],
  guard: ["triangle-up", "bad", "▲"],
  decision: ["square", "teacher", "■"],
  resume: ["triangle-right", "test", "▶"],
  stage: ["hexagon", "train", "⬢"],
  warning: ["triangle-up-open", "warn", "△"],
  error: ["x", "bad", "✕"],
  info: ["circle-open", "muted", "○"],
};

/** Action of a decision → the same three: gates that let pass, rates that move, roll-backs. */
const ACTIONS = {
  promote: ["star-diamond", "good", "✦"],
  repeat: ["arrow-right", "good", "↻"],
  raise: ["arrow-up", "teacher", "↑"],
  lower: ["arrow-down", "warn", "↓"],
  change: ["diamond-wide", "teacher", "✎"],
  cut: ["arrow-down", "warn", "↓"],
  rollback: ["arrow-left", "bad", "↩"],
  stop: ["x", "warn", "✕"],
  fail: ["x", "bad", "✕"],
};
const NOTHING = ["circle-open", "muted", "○"];

/** Symbol, colour and sign of an event. */
export function markOf(event) {
  return (event.kind === "decision" && ACTIONS[event.action]) || MARKS[event.kind] || NOTHING;
}

/** Words of an event on the curve: a decision says which attempt at which stage it ended. */
function wordsOf(event) {
  const attempt = event.kind === "decision" && event.attempt > 1 ? `${event.stage}, attempt ${event.attempt}: ` : "";
  return safe(attempt + event.message).replace(/(.{60,90}?) /g, "$1<br>");
}

const TRAINING = [
  { id: "loss", title: "Loss", unit: "cross-entropy, nats", wide: true, logs: true, smooths: true, marks: true,
    empty: "The first steps have not been logged yet.",
    traces: () => [["train/loss", "train", "train"], ["gate/loss", "gate", "gate"]] },
  { id: "gate", title: "Gate metric", unit: "share of 1", wide: true, best: true,
    empty: "Measured at the first evaluation.",
    traces: (book, extra) => gateTraces(book, extra) },
  { id: "lr", title: "Learning rate", unit: "by group", logs: true,
    empty: "No learning rate has been logged yet.",
    traces: (book) => book.names().filter((name) => name.startsWith("lr/")).map((name, i) => [name, name.slice(3), i + 6]) },
  { id: "grad", title: "Gradient norm", unit: "before clipping", logs: true, smooths: true,
    empty: "No gradient norm has been logged yet.", traces: () => [["train/grad_norm", "gradient norm", "train"]] },
  { id: "speed", title: "Throughput", unit: "examples/s", smooths: true, zero: true,
    empty: "No throughput has been logged yet.", traces: () => [["train/examples_per_s", "examples/s", "train"]] },
  { id: "memory", title: "Memory", unit: "MB", zero: true,
    empty: "No memory use has been logged yet.", traces: () => [["train/memory_mb", "memory", "train"]] },
];

const LINK = [
  { id: "loss", title: "Loss", unit: "binary cross-entropy, nats", wide: true, logs: true, smooths: true,
    empty: "The first epochs have not been logged yet.", traces: () => [["link/loss", "train", "train"]] },
  { id: "gate", title: "AUC", unit: "on validation sentences", wide: true,
    empty: "Measured after the first epoch.", traces: () => [["gate/auc", "AUC", "gate"]] },
];

/** Series of a probe: one a layer, named by its number. */
function layerTraces(book, prefix) {
  const found = book.names().filter((name) => name.startsWith(prefix)).map((name) => [Number(name.slice(prefix.length)), name]);
  return found.sort((a, b) => a[0] - b[0]).map(([layer, name], i) => [name, `layer ${layer}`, i, DASHES[Math.floor(i / 10) % DASHES.length]]);
}

const PROBE = [
  { id: "loss", title: "Held-out loss", unit: "L1 of squared distances / length²", wide: true, logs: true,
    empty: "The first epochs have not been logged yet.", traces: (book) => layerTraces(book, "probe/loss_layer_") },
  { id: "random", title: "The same, random encoder", unit: "L1 of squared distances / length²", wide: true, logs: true,
    empty: "The random encoder comes after the encoder itself.", traces: (book) => layerTraces(book, "probe/random_loss_layer_") },
];

const DISTIL = [
  { id: "loss", title: "Distance to the parent", unit: "squared error by variance; the mean scores 2", wide: true, logs: true, smooths: true,
    marks: true, empty: "The student inherits its weights first.",
    traces: () => [["train/loss", "train", "train"], ["held/loss", "held out", "gate"]] },
  { id: "lr", title: "Learning rate", unit: "of all layers", wide: true,
    empty: "No learning rate has been logged yet.", traces: () => [["lr", "learning rate", 6]] },
];

/** Shares of the positions of a batch, by who is right. */
const QUADRANTS = [["both_right", "both right", "good"], ["teachable", "teachable", "teacher"], ["harmful", "harmful", "bad"], ["both_wrong", "both wrong", "muted"]];

/** Series of the parts of a loss, in the order in which they are added. */
function partTraces(book, prefix) {
  const labels = { gold: ["gold labels", "train"], soft: ["teacher", "teacher"] };
  const found = book.names().filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const others = found.filter((part) => !labels[part]);
  return [...Object.keys(labels).filter((part) => found.includes(part)), ...others].map((part) => {
    const [label, role] = labels[part] ?? [part.replaceAll("_", " "), others.indexOf(part) + 6];
    return [`${prefix}${part}`, label, role];
  });
}

/** Losses of a distillation beside those of the gold labels: one for each loss between layers too. */
function taughtLosses(book) {
  const known = { "distil/gold": ["gold labels", "train"], "distil/soft": ["teacher", "teacher"] };
  const layers = book.names().filter((name) => /^distil\/(hidden|attention|relation|embedding)/.test(name));
  return [...Object.entries(known).map(([name, [label, role]]) => [name, label, role]), ...layers.map((name, i) => [name, name.slice(7).replaceAll("_", " "), i + 6])];
}

/** A stage that learns from a teacher: how near the student is to it comes second. */
const TAUGHT = [
  TRAINING[0], TRAINING[1],
  { id: "terms", title: "Parts of the loss", unit: "before their weights", logs: true, smooths: true,
    empty: "No step with a teacher has been logged yet.", traces: taughtLosses },
  { id: "weighted", title: "Weighted parts", unit: "as they are added up", logs: true, smooths: true,
    empty: "No step with a teacher has been logged yet.", traces: (book) => partTraces(book, "distil/weighted_") },
  { id: "shares", title: "Share of the gradient", unit: "norm of each part's, by their sum",
    empty: "Measured at the first step, and now and then.", traces: (book) => partTraces(book, "distil/share_") },
  { id: "near", title: "Near its teacher", unit: "share of 1, training rows", smooths: true,
    empty: "No step with a teacher has been logged yet.",
    traces: () => [["distil/agreement", "agreement", "teacher"], ["distil/divergence", "divergence", "bad"], ["distil/effective", "effective", "muted"]] },
  { id: "gate-near", title: "Near it on gate", unit: "share of 1", zero: true,
    empty: "Measured at the first evaluation.",
    traces: () => [["distil/gate_agreement", "agreement", "teacher"], ["distil/gate_divergence", "divergence", "bad"]] },
  { id: "quadrants", title: "Who is right", unit: "share of the positions", smooths: true,
    empty: "No step with a teacher has been logged yet.", traces: () => QUADRANTS.map(([name, label, role]) => [`distil/${name}`, label, role]) },
  { id: "values", title: "T, α and λ", unit: "as they hold", zero: true,
    empty: "No step with a teacher has been logged yet.",
    traces: () => [["distil/temperature", "T", 6], ["distil/alpha", "α", "teacher"], ["distil/lambda", "λ", 7]] },
  ...TRAINING.slice(2),
];

/** Series of a joint run that end alike, one a task: train/TASK/loss, gate/TASK/loss. */
function taskTraces(book, start, end, dash) {
  const found = book.names().filter((name) => name.startsWith(start) && name.endsWith(end) && name.length > start.length + end.length);
  return found.map((name, i) => [name, name.slice(start.length, -end.length), i + 6, dash]);
}

/** Series of pairs of tasks: conflict/A~B/… */
function pairTraces(book, end) {
  return taskTraces(book, "conflict/", end).map(([name, pair, role], i) => [name, pair.replace("~", " and "), role, DASHES[i % DASHES.length]]);
}

const COMPARED = { empty: "Compared for the first time after some steps.", ended: "The run ended before its first comparison." };

/** Several tasks on one encoder: each one's loss beside their mean, and how their gradients lie to one another. */
const JOINT = [
  { ...TRAINING[0], unit: "of each task, nats",
    traces: (book) => [["train/loss", "all", "train"], ...taskTraces(book, "train/", "/loss"),
      ...taskTraces(book, "gate/", "/loss", "dash").map(([name, task, role, dash]) => [name, `${task}, gate`, role, dash])] },
  { ...TRAINING[1], title: "Gate metrics", traces: (book, extra) => gateTraces(book, extra).filter(([name]) => !name.endsWith("/loss")) },
  { id: "agree", title: "Gradients of two tasks", unit: "cosine over the whole encoder",
    ...COMPARED, traces: (book) => pairTraces(book, "/cosine/encoder") },
  { id: "conflicts", title: "Conflicts", unit: "share of layers with a negative cosine", zero: true,
    ...COMPARED, traces: (book) => pairTraces(book, "/rate") },
  { id: "ratio", title: "Norms of gradients", unit: "the first task's by the second's", logs: true,
    ...COMPARED, traces: (book) => pairTraces(book, "/ratio/encoder") },
  ...TRAINING.slice(2),
];

/** The same with a teacher for each task, or for some: how near each student's answers are to its teacher's. */
function withTeachers(panels) {
  return [...panels.slice(0, 2),
    { id: "taught-soft", title: "What teachers say", unit: "T² KL of each task", logs: true, smooths: true,
      empty: "No step with a teacher has been logged yet.", traces: (book) => taskTraces(book, "distil/", "/soft") },
    { id: "taught-near", title: "Near their teachers", unit: "agreement, training rows", smooths: true,
      empty: "No step with a teacher has been logged yet.", traces: (book) => taskTraces(book, "distil/", "/agreement") },
    { id: "taught-gate", title: "Near them on gate", unit: "agreement, share of 1", zero: true,
      empty: "Measured at the first evaluation.", traces: (book) => taskTraces(book, "distil/", "/gate_agreement") },
    { id: "taught-apart", title: "Apart on gate", unit: "mean divergence, 0 to 1", zero: true,
      empty: "Measured at the first evaluation.", traces: (book) => taskTraces(book, "distil/", "/gate_divergence") },
    ...panels.slice(2)];
}

/** A joint run of one task, or one that never compares gradients. */
const ALONE = JOINT.filter((panel) => !["agree", "conflicts", "ratio"].includes(panel.id));

/** What is drawn of a kind of run. */
export const PANELS = { train: TRAINING, taught: TAUGHT, link: LINK, probe: PROBE, distil: DISTIL, joint: JOINT, alone: ALONE,
  "joint-taught": withTeachers(JOINT), "alone-taught": withTeachers(ALONE) };

function gateTraces(book, extra) {
  const names = book.names().filter((name) => name.startsWith("gate/") && name !== "gate/loss");
  const first = `gate/${extra.metric ?? ""}`;
  names.sort((a, b) => (b === first) - (a === first) || a.localeCompare(b));
  return names.map((name, i) => [name, name.slice(5).replaceAll("_", " "), i ? i + 5 : "gate", DASHES[i % DASHES.length]]);
}

/** Text for Plotly, which reads a few HTML tags. */
export function safe(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A trace's id: Plotly uses it in CSS selectors, so it may hold nothing that means something there. */
function idOf(name) {
  return name.replace(/[^A-Za-z0-9_-]/g, "-");
}

function colourOf(role, look) {
  if (typeof role === "number") return look.categorical[role % look.categorical.length];
  return look.roles[role] ?? look.signals[role] ?? look.muted;
}

function faded(colour, share) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${share})`;
}

/** The x values of a series on the chosen axis. */
function along(book, own, options) {
  return options.x === "time" ? own.times.map((time) => book.elapsed(time) / options.timeUnit.seconds) : own.steps.slice();
}

/** Build the traces of a panel. Their ids stay the same from call to call, so that a hidden one stays hidden. */
export function buildTraces(panel, book, events, options, look, extra) {
  const traces = [];
  const weight = panel.smooths ? options.smoothing : 0;
  for (const [name, label, role, dash] of panel.traces(book, extra)) {
    const own = book.get(name);
    if (!own) continue;
    const colour = colourOf(role, look);
    const x = along(book, own, options);
    const sparse = own.steps.length <= 60;
    const hover = `${safe(label)} %{y:.5~g}<extra></extra>`;
    const seldom = name === "gate/loss" || (name.startsWith("gate/") && name.endsWith("/loss")) || name.startsWith("held/") || /^distil\/(.+\/)?gate_/.test(name);  // measured now and then: a mean would lag far behind
    if (weight > 0 && !seldom) {
      traces.push({ uid: `${idOf(name)}-raw`, x, y: own.values.slice(), mode: "lines", line: { color: faded(colour, 0.28), width: 1 },
        name: `${safe(label)}, raw`, showlegend: false, hovertemplate: `${safe(label)}, raw %{y:.5~g}<extra></extra>`, legendgroup: name });
    }
    const y = weight > 0 && !seldom ? smooth(own.values, weight) : own.values.slice();
    traces.push({ uid: idOf(name), x, y, mode: sparse && (seldom || name.startsWith("gate/")) ? "lines+markers" : "lines",
      line: { color: colour, width: 2, dash: dash ?? "solid" }, marker: { size: 6, color: colour }, name: safe(label),
      legendgroup: name, hovertemplate: hover });
  }
  if (panel.id === "gate") addReferences(traces, book, events, extra, options, look);
  if (panel.id === "gate" && extra.metrics) addTest(traces, book, extra, options, look);
  if (panel.marks && options.events) addMarks(traces, book, events, options, look, weight);
  if (panel.best && options.events) {
    addDecisions(traces, book, events, options, look, extra);
    addBest(traces, book, events, options, look, extra);
  }
  return traces;
}

/** What the student is measured by, as level lines: its teachers, the majority, itself without a teacher. */
function addReferences(traces, book, events, extra, options, look) {
  const own = book.get(`gate/${extra.metric}`);
  if (!own) return;
  const told = events.filter((event) => event.teacher !== undefined && event.metric === `gate/${extra.metric}`);
  const several = new Set(told.map((event) => event.teacher)).size > 1;
  const lines = new Map();
  for (const event of told) {
    lines.set(`teacher-${event.teacher}`, [several ? `teacher ${event.teacher}` : "teacher", event.value, look.roles.teacher, "dash"]);
    if (Number.isFinite(event.majority)) lines.set("majority", ["majority", event.majority, look.muted, "dot"]);
  }
  for (const line of extra.lines ?? []) lines.set(line.id, [line.name, line.value, look.roles.baseline, "dashdot"]);
  const span = along(book, book.get("train/loss") ?? own, options);
  for (const [id, [name, value, color, dash]] of lines) {
    traces.push({ uid: `level-${idOf(id)}`, x: [span[0], span[span.length - 1]], y: [value, value], mode: "lines", name: safe(name),
      line: { color, width: 1.5, dash }, hovertemplate: `${safe(name)} %{y:.5~g}<extra></extra>` });
  }
}

function addTest(traces, book, extra, options, look) {
  const value = extra.metrics[`test/${extra.metric}`];
  const own = book.get(`gate/${extra.metric}`);
  if (!Number.isFinite(value) || !own) return;
  const span = along(book, book.get("train/loss") ?? own, options);
  traces.push({ uid: "test", x: [span[0], span[span.length - 1]], y: [value, value], mode: "lines", name: "test",
    line: { color: look.roles.test, width: 2, dash: "dot" }, hovertemplate: "test %{y:.5~g}<extra></extra>" });
}

/** Events by the mark that they get, each list one trace. */
function byMark(events) {
  const found = new Map();
  for (const event of events) {
    if (event.step === null || event.kind === "eval" || event.kind === "info") continue;
    const name = event.kind === "decision" && ACTIONS[event.action] ? `decision-${event.action}` : event.kind;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(event);
  }
  return found;
}

function addMarks(traces, book, events, options, look, weight) {
  const own = book.get("train/loss");
  if (!own) return;
  const level = smooth(own.values, weight);
  for (const [name, found] of byMark(events)) {
    const [symbol, role] = markOf(found[0]);
    traces.push(marksOf(`mark-${name}`, found, found.map((event) => book.at("train/loss", event.step, level)), symbol, role, book, options, look));
  }
}

function marksOf(uid, found, y, symbol, role, book, options, look) {
  const decision = found[0].kind === "decision";
  return { uid, x: found.map((event) => place(book, event, options)), y, text: found.map(wordsOf), mode: "markers", name: found[0].kind,
    marker: { symbol, size: found[0].kind === "best" || decision ? 11 : 8, color: look.signals[role] ?? look.roles[role] ?? look.muted,
      line: { color: look.background, width: 1 } },
    hovertemplate: "%{text}<extra></extra>", showlegend: false, cliponaxis: false };
}

/** Gates, roll-backs and what else was decided, on the curve of the metric. */
function addDecisions(traces, book, events, options, look, extra) {
  const name = `gate/${extra.metric}`;
  if (!book.get(name)) return;
  const decided = events.filter((event) => event.kind === "decision" && ACTIONS[event.action]);
  for (const [mark, found] of byMark(decided)) {
    const [symbol, role] = markOf(found[0]);
    traces.push(marksOf(`mark-${mark}`, found, found.map((event) => book.at(name, event.step)), symbol, role, book, options, look));
  }
}

function addBest(traces, book, events, options, look, extra) {
  const name = `gate/${extra.metric}`;
  const found = events.filter((event) => event.kind === "best" && event.step !== null).slice(-1);
  if (!found.length || !book.get(name)) return;
  traces.push({ uid: "mark-best", x: found.map((event) => place(book, event, options)),
    y: found.map((event) => book.at(name, event.step)), text: found.map((event) => safe(event.message)), mode: "markers", name: "best",
    marker: { symbol: "star", size: 13, color: look.signals.good, line: { color: look.background, width: 1 } },
    hovertemplate: "%{text}<extra></extra>", showlegend: false, cliponaxis: false });
}

function place(book, event, options) {
  return options.x === "time" ? book.elapsed(event.time) / options.timeUnit.seconds : event.step;
}

/** Where stages and further attempts begin: [{x, name, attempt}]; nothing for a run of one stage and one attempt. */
export function bordersOf(book, events, options) {
  const begun = events.filter((event) => event.kind === "stage" && event.name !== undefined && event.step !== null);
  if (!options.events || begun.length < 2) return [];
  const found = new Map();
  for (const event of begun) {
    const x = place(book, event, options);
    const before = found.get(x);
    const attempt = event.attempt ?? 1;
    // A test or a search takes no steps: its name stands before that of the stage which begins at the same step.
    if (before && before.name !== event.name) found.set(x, { x, name: `${before.name}, ${event.name}`, attempt });
    else found.set(x, { x, name: event.name, attempt });
  }
  return [...found.values()].sort((a, b) => a.x - b.x);
}

/** Lines at the borders, and names where there is room for them. */
function borderMarks(panel, borders, look, span) {
  const end = span[span.length - 1] ?? 0;
  const shapes = borders.filter((border) => border.x > 0).map((border) => ({ type: "line", xref: "x", yref: "paper", x0: border.x, x1: border.x,
    y0: 0, y1: 1, layer: "below", line: { color: look.muted, width: 1, dash: border.attempt > 1 ? "dot" : "dash" } }));
  const annotations = [];
  if (!panel.wide) return { shapes, annotations };
  let free = -Infinity;
  for (const border of borders) {
    const name = border.name.length > 18 ? `${border.name.slice(0, 17)}…` : border.name;
    const text = border.attempt > 1 ? `attempt ${border.attempt}` : name;
    if (border.x < free || border.x > end) continue;
    free = border.x + (end * (text.length + 1)) / 60;
    annotations.push({ x: border.x, y: 1, xref: "x", yref: "paper", xanchor: "left", yanchor: "top", showarrow: false, text: safe(text),
      hovertext: safe(border.attempt > 1 ? `${border.name}, attempt ${border.attempt}` : border.name), font: { size: 10, color: look.muted }, bgcolor: look.background, borderpad: 1 });
  }
  return { shapes, annotations };
}

/** The layout of a panel. `uirevision` keeps zoom and hidden traces until it changes. */
export function buildLayout(panel, options, look, size, span, borders = []) {
  const log = panel.logs && options.log;
  return {
    ...borderMarks(panel, borders, look, span),
    uirevision: options.revision,
    height: size.height,
    autosize: true,
    margin: { l: 6, r: 10, t: 10, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: look.font, size: 12, color: look.text },
    colorway: look.categorical,
    showlegend: size.legend,
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { size: 12 } },
    hovermode: "x unified",
    hoverlabel: { bgcolor: look.background, bordercolor: look.border, font: { family: look.font, color: look.text, size: 12 } },
    dragmode: size.touch ? false : "zoom",
    xaxis: {
      title: { text: options.x === "time" ? `time (${options.timeUnit.name}, pauses left out)` : "step", font: { size: 11, color: look.muted }, standoff: 6 },
      automargin: true, gridcolor: look.grid, zeroline: false, linecolor: look.border, showline: true, ticks: "", nticks: 6, tickfont: { color: look.muted },
      tickformat: options.x === "time" ? "" : ",~r", hoverformat: options.x === "time" ? ".2f" : ",d", autorange: true,
      // All panels show the same stretch, also those that are measured rarely.
      autorangeoptions: { include: span },
      unifiedhovertitle: { text: options.x === "time" ? `%{x} ${options.timeUnit.name}` : "step %{x}" },
    },
    yaxis: {
      type: log ? "log" : "linear", gridcolor: look.grid, zeroline: false, tickfont: { color: look.muted }, nticks: 6,
      exponentformat: panel.id === "lr" ? "e" : "power", tickformat: panel.id === "lr" ? "~e" : "", automargin: true, autorange: true, rangemode: panel.zero && !log ? "tozero" : "normal",
    },
  };
}
