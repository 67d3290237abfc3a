// The points of one run as the browser holds them: merged by step, because a resumed run writes some steps again.

export const MOST_POINTS = 4000;

export class SeriesBook {
  constructor() {
    this.clear();
  }

  clear() {
    this.series = new Map();
    this.clock = null;
  }

  names() {
    return [...this.series.keys()].sort();
  }

  get(name) {
    return this.series.get(name);
  }

  /** Take a batch. Returns "append" if every point came after the known ones, else "replace"; null if nothing came. */
  take(batch, replace) {
    if (replace) this.series = new Map();
    let kind = null;
    for (const [name, part] of Object.entries(batch)) {
      if (!part.steps.length) continue;
      if (kind === null) kind = "append";
      let own = this.series.get(name);
      if (!own) {
        own = { steps: [], values: [], times: [] };
        this.series.set(name, own);
        kind = "replace";
      }
      const last = own.steps.length ? own.steps[own.steps.length - 1] : -Infinity;
      if (part.steps[0] > last) {
        own.steps.push(...part.steps);
        own.values.push(...part.values);
        own.times.push(...part.times);
      } else {
        kind = "replace";
        this.merge(own, part);
      }
    }
    if (kind !== null) this.clock = null;
    return replace && kind !== null ? "replace" : kind;
  }

  merge(own, part) {
    const rows = new Map(own.steps.map((step, i) => [step, [own.values[i], own.times[i]]]));
    part.steps.forEach((step, i) => rows.set(step, [part.values[i], part.times[i]]));
    own.steps = [...rows.keys()].sort((a, b) => a - b);
    own.values = own.steps.map((step) => rows.get(step)[0]);
    own.times = own.steps.map((step) => rows.get(step)[1]);
  }

  longest() {
    let most = 0;
    for (const own of this.series.values()) most = Math.max(most, own.steps.length);
    return most;
  }

  /** Seconds of work at a moment: pauses between two points (much longer than usual) are left out. */
  elapsed(moment) {
    if (!this.clock) this.clock = buildClock(this.get("train/loss") ?? this.series.values().next().value);
    const { times, worked } = this.clock;
    if (!times.length) return 0;
    let low = 0;
    let high = times.length - 1;
    if (moment <= times[0]) return 0;
    if (moment >= times[high]) return worked[high] + Math.min(moment - times[high], this.clock.pause);
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= moment) low = middle;
      else high = middle;
    }
    const share = (moment - times[low]) / Math.max(times[high] - times[low], 1e-9);
    return worked[low] + share * (worked[high] - worked[low]);
  }

  /** The value of a series at a step, between two points by a straight line; null outside. */
  at(name, step, values) {
    const own = this.series.get(name);
    if (!own || !own.steps.length || step === null) return null;
    const shown = values ?? own.values;
    const steps = own.steps;
    if (step <= steps[0]) return shown[0];
    const end = steps.length - 1;
    if (step >= steps[end]) return shown[end];
    let low = 0;
    let high = end;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= step) low = middle;
      else high = middle;
    }
    if (shown[low] === null || shown[high] === null) return shown[low] ?? shown[high];
    return shown[low] + ((step - steps[low]) / (steps[high] - steps[low])) * (shown[high] - shown[low]);
  }
}

function buildClock(own) {
  const times = own ? [...own.times].sort((a, b) => a - b) : [];
  const gaps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  const usual = gaps.length ? gaps[gaps.length >> 1] : 1;
  const pause = Math.max(30, 20 * usual);
  const worked = [];
  times.forEach((time, i) => {
    const gap = i ? time - times[i - 1] : 0;
    worked.push(i ? worked[i - 1] + (gap > pause ? usual : gap) : 0);
  });
  return { times, worked, pause };
}

/** Exponential moving average with the start corrected, as loss curves are usually smoothed; gaps stay gaps. */
export function smooth(values, weight) {
  if (!(weight > 0)) return values;
  let mean = 0;
  let seen = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    mean = mean * weight + (1 - weight) * value;
    seen += 1;
    return mean / (1 - weight ** seen);
  });
}

/** All points as CSV: one row a series and step. */
export function toCsv(book, names) {
  const lines = ["series,step,time,value"];
  for (const name of names) {
    const own = book.get(name);
    if (!own) continue;
    const quoted = `"${name.replaceAll('"', '""')}"`;
    own.steps.forEach((step, i) => {
      const time = new Date(own.times[i] * 1000).toISOString();
      lines.push(`${quoted},${step},${time},${own.values[i] ?? ""}`);
    });
  }
  return lines.join("\n") + "\n";
}
