// Colours and font from the page's theme (--st-… variables), read again when the theme is switched.

export function readLook(element, colours) {
  const style = getComputedStyle(element);
  const read = (name, other) => style.getPropertyValue(name).trim() || other;
  const background = read("--st-background-color", "#ffffff");
  const text = read("--st-text-color", "#1b2032");
  const mode = luminance(background) < 0.4 ? "dark" : "light";
  const own = colours[mode];
  const muted = mix(text, background, 0.36);
  return {
    mode,
    background,
    text,
    muted,
    border: read("--st-border-color", mix(text, background, 0.82)),
    grid: mix(text, background, 0.9),
    font: read("--st-font", "sans-serif"),
    roles: own.roles,
    categorical: own.categorical,
    signals: { ...own.signals, muted },
    stamp: `${mode} ${background} ${text}`,
  };
}

function channels(colour) {
  const probe = /^#([0-9a-f]{6})/i.exec(colour);
  if (probe) return [0, 2, 4].map((at) => parseInt(probe[1].slice(at, at + 2), 16));
  const numbers = colour.match(/[\d.]+/g);
  return numbers ? numbers.slice(0, 3).map(Number) : [128, 128, 128];
}

function luminance(colour) {
  const [r, g, b] = channels(colour);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/** `share` of the way from one colour to another. */
export function mix(from, to, share) {
  const [a, b] = [channels(from), channels(to)];
  return `rgb(${a.map((value, i) => Math.round(value + (b[i] - value) * share)).join(",")})`;
}
