/** When the next multicast advertisement goes out (RFC 4861 §6.2.4, §6.2.6). Clock and chance are arguments. Times in milliseconds. */

/** RFC 4861 §10 */
const MAX_INITIAL_RTR_ADVERTISEMENTS = 3;
const MAX_INITIAL_RTR_ADVERT_INTERVAL = 16_000;
const MIN_DELAY_BETWEEN_RAS = 3_000;
const MAX_RA_DELAY_TIME = 500;

export interface Schedule {
  /** How many unsolicited advertisements went out since the start or the last change. */
  readonly sent: number;
  /** When the last multicast one went out. */
  readonly lastMulticast: number | null;
  /** When the next multicast one is due. */
  readonly next: number;
  readonly nextWhy: "initial" | "periodic" | "solicited" | "changed";
}

const earliestMulticast = (last: number | null, now: number): number => (last === null ? now : Math.max(now, last + MIN_DELAY_BETWEEN_RAS));

/** It begins, or its link came up, or what it says changed: told as soon as the last advertisement lets it, and three times soon. */
export const begin = (last: number | null, now: number, nextWhy: "initial" | "changed"): Schedule => ({
  sent: 0,
  lastMulticast: last,
  next: earliestMulticast(last, now),
  nextWhy,
});

/** After a multicast advertisement went out. `interval` in seconds; `random` gives [0, 1). */
export function afterMulticast(
  schedule: Schedule,
  [min, max]: readonly [min: number, max: number],
  now: number,
  random: () => number,
): Schedule {
  const sent = schedule.nextWhy === "solicited" ? schedule.sent : schedule.sent + 1;
  const interval = (min + random() * (max - min)) * 1000;
  const initial = sent < MAX_INITIAL_RTR_ADVERTISEMENTS;
  const next = now + (initial ? Math.min(interval, MAX_INITIAL_RTR_ADVERT_INTERVAL) : interval);
  return { sent, lastMulticast: now, next, nextWhy: initial ? "initial" : "periodic" };
}

/**
 * After a solicitation from `::` (EDK2's): all of them share one multicast advertisement, 3 s after the last at the earliest. One
 * with a source is answered by unicast at once, sooner than RFC 4861 §6.2.6's random delay, which is there for multicast.
 */
export function afterSolicitation(schedule: Schedule, now: number, random: () => number): Schedule {
  const due = Math.max(now + random() * MAX_RA_DELAY_TIME, earliestMulticast(schedule.lastMulticast, now));
  return due < schedule.next ? { ...schedule, next: due, nextWhy: "solicited" } : schedule;
}
