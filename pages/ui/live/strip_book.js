// What was seen of pinned sentences, as the browser holds it. Knows nothing of drawing but the colours.

/** Colour of a divergence from 0 to 1: its square root is the way from the page's own grey to the colour of what is wrong. */
export function rampOf(look, mix) {
  const low = mix(look.text, look.background, 0.92);
  return (value) => mix(low, look.signals.bad, Math.sqrt(Math.min(1, Math.max(0, value))));
}

class Own {
  constructor(head) {
    this.parts = head.parts;
    this.classes = head.classes;
    this.teacher = head.teacher;
    this.steps = [];
    this.values = [];
    this.student = [];
  }

  /** Left edges of the columns and the right end of the last one: a column lasts until the next look. */
  edges(width) {
    const { steps } = this;
    const gaps = steps.slice(1).map((step, i) => step - steps[i]).sort((a, b) => a - b);
    const first = steps[0];
    const end = steps[steps.length - 1] + Math.max(gaps[gaps.length >> 1] ?? 1, 0.02 * (steps[steps.length - 1] - first));
    return [...steps, end].map((step) => (width * (step - first)) / (end - first));
  }
}

export class StripBook {
  constructor() {
    this.clear();
  }

  clear() {
    this.pins = new Map();
    this.cursor = 0;
    this.name = "";
  }

  get(pin) {
    return this.pins.get(pin);
  }

  /** Take an answer; returns whether anything is to be drawn anew. */
  take(payload) {
    if (payload.replace) this.pins = new Map();
    this.cursor = payload.cursor;
    this.name = payload.name;
    for (const entry of payload.entries) {
      if (entry.kind === "pin") {
        if (!this.pins.has(entry.pin)) this.pins.set(entry.pin, new Own(entry));
      } else if (entry.kind === "strip") {
        const own = this.pins.get(entry.pin);
        if (!own || (own.steps.length && entry.step <= own.steps[own.steps.length - 1])) continue;
        own.steps.push(entry.step);
        own.values.push(entry.d);
        own.student.push(entry.student);
      }
    }
    return payload.replace || payload.entries.length > 0;
  }
}

const cell = (text) => `"${String(text).replaceAll('"', '""')}"`;

/** All cells as CSV: one row a sentence, step and word, with the most probable class of both. */
export function stripsToCsv(pins) {
  const lines = ["sentence,step,word,divergence,teacher,teacher_share,student,student_share"];
  for (const [pin, own] of pins) {
    own.steps.forEach((step, column) => own.parts.forEach((part, row) => {
      const [[theirs, share]] = own.teacher[row];
      const [[mine, other]] = own.student[column][row];
      lines.push([cell(pin.text), step, cell(part), own.values[column][row], cell(own.classes[theirs]), share / 1000, cell(own.classes[mine]), other / 1000].join(","));
    }));
  }
  return lines.join("\n") + "\n";
}
