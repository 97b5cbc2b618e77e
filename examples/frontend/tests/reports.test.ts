/** What is sent to the API about this browser, and to Sentry. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { options } from "../src/lib/sentry.ts";
import { settings, share } from "../src/lib/settings.ts";
import { body } from "../src/lib/vitals.ts";

const VITALS: [string, number, string | null][] = [
  ["TTFB", 12.5, '{"name":"TTFB","value":12.5}'],
  ["CLS", 0, '{"name":"CLS","value":0}'],
  ["Next.js-hydration", 3, null],
  ["LCP", -1, null],
  ["LCP", NaN, null],
];
for (const [name, value, expected] of VITALS) {
  test(`${name} ${value}`, () => assert.equal(body({ name, value }), expected));
}

const SHARES: [string | undefined, number][] = [
  [undefined, 0.1],
  ["", 0.1],
  ["0", 0],
  ["0.25", 0.25],
  ["10", 0.1],
  ["-1", 0.1],
  ["much", 0.1],
];
for (const [text, expected] of SHARES) {
  test(`a share of ${JSON.stringify(text)}`, () => assert.equal(share(text, 0.1), expected));
}

test("without keys, nothing is reported; Sentry's shares are 0.1 and 0.01", () => {
  assert.deepEqual([settings.sentryDsn, settings.clerkPublishableKey], ["", ""]);
  assert.deepEqual(options({ ...settings, sentryDsn: "https://k@s/1", release: "1.1.0" }), {
    dsn: "https://k@s/1",
    environment: "development",
    release: "1.1.0",
    tracesSampleRate: 0.1,
    profileSessionSampleRate: 0.01,
    profileLifecycle: "trace",
  });
});
