/** Reasons as labels: what varies in them is left out, and of however many only so many are told apart. */
const MOST = 40;
const LONGEST = 80;
/** Words that carry a number, an address or a path. */
const VARIES = /\S*[\d:/]\S*/g;
const OTHER = "other";

export class Reasons {
  readonly #known = new Set<string>();

  of(why: string): string {
    const end = why.indexOf("; ");
    const reason = (end < 0 ? why : why.slice(0, end)).replace(VARIES, "…").slice(0, LONGEST);
    if (this.#known.has(reason)) return reason;
    if (this.#known.size >= MOST) return OTHER;
    this.#known.add(reason);
    return reason;
  }
}
