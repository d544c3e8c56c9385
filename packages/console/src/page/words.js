/** Times, sizes and names as an operator reads them. */
export const bytes = (count) =>
  count < 1e4
    ? `${count} B`
    : count < 1e6
      ? `${(count / 1e3).toFixed(0)} kB`
      : count < 1e9
        ? `${(count / 1e6).toFixed(1)} MB`
        : `${(count / 1e9).toFixed(2)} GB`;

/** Of milliseconds. */
export function duration(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return seconds < 0.001 ? "< 1 ms" : `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

const two = (value) => String(value).padStart(2, "0");

/** Time of day; with the date where that is not today. `at` is Unix milliseconds. */
export function clock(at) {
  const date = new Date(at);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return date.toDateString() === new Date().toDateString() ? time : `${day(date)} ${time}`;
}

const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** How each stage, and what goes on beside them, looks: a letter, and the colour of its phase. */
const LOOKS = {
  firmware: ["F", "firmware"],
  program: ["P", "firmware"],
  ipxe: ["X", "ipxe"],
  script: ["S", "ipxe"],
  kernel: ["K", "kernel"],
  initrd: ["I", "kernel"],
  installer: ["N", "installer"],
  answers: ["A", "installer"],
  done: ["✓", "done"],
  router: ["R", "ipxe"],
  names: ["D", "installer"],
};

/** `stage` null: it was met, and has not begun a boot. */
export const look = (stage) => {
  const [letter, phase] = LOOKS[stage] ?? ["–", "none"];
  return { letter, phase };
};
