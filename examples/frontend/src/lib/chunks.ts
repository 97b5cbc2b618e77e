/** JavaScript that is loaded when it is needed, and that the server no longer has: a tab stayed open over a deploy. */

const KEY = "app-reloaded";
/** A page that has just been reloaded and fails again would go on for ever. */
const PAUSE = 60_000;

/** Whether an error says that a file of this page could not be loaded. Bundlers and browsers have words of their own. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const words = /loading (css )?chunk|load chunk|dynamically imported module|importing a module script/i;
  return error.name === "ChunkLoadError" || words.test(error.message);
}

/** Whether the page may reload itself now; it is noted that it does. */
export function mayReload(storage: Pick<Storage, "getItem" | "setItem">, now: number): boolean {
  const last = Number(storage.getItem(KEY) ?? Number.NEGATIVE_INFINITY);
  if (now - last < PAUSE) return false;
  storage.setItem(KEY, String(now));
  return true;
}
