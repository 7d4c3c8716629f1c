const FIRST_MS = 250;
// A gateway that restarts is back within seconds, and people are waiting: soon again, for about half a minute.
const SOON_ATTEMPTS = 20;
const SOON_MS_MAX = 1_000;
const LATER_MS_MAX = 15_000;

/** Doubling waits with jitter, so that a thousand pages do not come back in the same instant. */
export function backOffMs(attempt: number, random: () => number): number {
  const most = attempt < SOON_ATTEMPTS ? SOON_MS_MAX : LATER_MS_MAX;
  const wait = Math.min(FIRST_MS * 2 ** Math.min(attempt, 16), most);
  return wait * (0.5 + random() / 2);
}
