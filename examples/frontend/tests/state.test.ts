import assert from "node:assert/strict";
import { test } from "node:test";

import { createApp, migrate, NAME, read, VERSION, type Saved } from "../src/lib/state.ts";

const ME = { id: "s-1", userId: 7 };
const NONE: Saved = { session: null, filter: "all" };

/** Version of what is kept, what is kept, and what this version makes of it. */
const ROWS: [string, number, unknown, Saved][] = [
  ["version 1", 1, { sessionId: "s-1", userId: 7, hideDone: true }, { session: ME, filter: "open" }],
  ["version 1, everything shown", 1, { sessionId: "s-1", userId: 7, hideDone: false }, { session: ME, filter: "all" }],
  ["version 1, signed out", 1, { sessionId: null, userId: null, hideDone: true }, { session: null, filter: "open" }],
  ["version 1, damaged", 1, "text", NONE],
  ["this version", VERSION, { session: ME, filter: "open" }, { session: ME, filter: "open" }],
  ["this version, one field damaged", VERSION, { session: { id: 7 }, filter: "open" }, { session: null, filter: "open" }],
  ["this version, nothing", VERSION, null, NONE],
  ["a later version", 3, { session: { ...ME, since: 1 }, filter: "mine", theme: "dark" }, { session: ME, filter: "all" }],
];

for (const [name, version, saved, expected] of ROWS) {
  test(`state of ${name}`, () => {
    assert.deepEqual(version === VERSION ? read(saved) : migrate(saved, version), expected);
  });
}

for (const [name, version, saved, expected] of ROWS) {
  test(`what storage holds of ${name} is read, and written in this version`, async () => {
    const kept = new Map([[NAME, JSON.stringify({ state: saved, version })]]);
    const app = createApp(() => ({
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => void kept.set(key, text),
      removeItem: (key) => void kept.delete(key),
    }));
    await app.persist.rehydrate();
    const { session, filter } = app.getState();
    assert.deepEqual({ session, filter }, expected);
    app.getState().show("open");
    assert.deepEqual(JSON.parse(kept.get(NAME) ?? ""), { state: { ...expected, filter: "open" }, version: VERSION });
  });
}

test("actions change the state, and only data is kept", async () => {
  const kept = new Map<string, string>();
  const app = createApp(() => ({
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  }));
  await app.persist.rehydrate();
  app.getState().signIn(ME);
  assert.deepEqual(app.getState().session, ME);
  app.getState().signOut();
  assert.deepEqual(JSON.parse(kept.get(NAME) ?? ""), { state: NONE, version: VERSION });
});
