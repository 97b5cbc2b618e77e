import assert from "node:assert/strict";
import { test } from "node:test";

import { isGone, mayReload } from "../src/lib/chunks.ts";

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

const ROWS: [string, unknown, boolean][] = [
  ["of the bundler", named("ChunkLoadError", "Failed to load chunk /_next/static/chunks/1.js from module 2"), true],
  ["of Chromium", new TypeError("Failed to fetch dynamically imported module: http://x/1.js"), true],
  ["of Firefox", new TypeError("error loading dynamically imported module: http://x/1.js"), true],
  ["of Safari", new TypeError("Importing a module script failed."), true],
  ["of the API", new Error("HTTP 503"), false],
  ["of a program", new TypeError("x is undefined"), false],
  ["of nobody", "Loading chunk 1 failed", false],
];

for (const [name, error, gone] of ROWS) {
  test(`an error ${name} ${gone ? "says" : "does not say"} that a file is gone`, () => {
    assert.equal(isGone(error), gone);
  });
}

test("a page reloads itself at most once a minute", () => {
  const kept = new Map<string, string>();
  const storage = { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => void kept.set(name, value) };
  const asked = [0, 1, 59_999, 60_000, 60_001, 200_000];
  assert.deepEqual(
    asked.map((now) => mayReload(storage, now)),
    [true, false, false, true, false, true],
  );
});
