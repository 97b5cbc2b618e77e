import assert from "node:assert/strict";
import { mock, test } from "node:test";

import * as api from "../src/lib/api.ts";
import { again, createQueries } from "../src/lib/queries.ts";

const USER = { id: 7, email: "ada@example.com", full_name: "Ada", user_type: "free" };
const TASK = { id: 1, user_id: 7, title: "write", done: false, created_at: "2026-01-01" };

test("fields that this build does not know are left alone", () => {
  assert.deepEqual(api.readUser({ ...USER, name: "Ada", later: 1 }), { id: 7, email: "ada@example.com", fullName: "Ada" });
  assert.deepEqual(api.readTask({ ...TASK, priority: 1 }), { id: 1, title: "write", done: false });
});

for (const name of ["id", "email", "full_name"]) {
  test(`an answer without ${name} says that the page is outdated`, () => {
    assert.throws(() => api.readUser({ ...USER, [name]: undefined }), api.OutdatedError);
  });
}

test("requests name what the API expects", async () => {
  const asked: [string, string | undefined, unknown][] = [];
  mock.method(globalThis, "fetch", async (url: string, init: RequestInit) => {
    asked.push([url, init.method, init.body === undefined ? null : JSON.parse(String(init.body))]);
    return Response.json(url.startsWith("/tasks?") ? [TASK] : url.startsWith("/tasks") ? TASK : USER);
  });
  await api.tasksOf(7);
  await api.addTask(7, "write");
  await api.setDone(1, true);
  await api.rename(7, "Ada");
  mock.restoreAll();
  assert.deepEqual(asked, [
    ["/tasks?user_id=7", "GET", null],
    ["/tasks", "POST", { user_id: 7, title: "write" }],
    ["/tasks/1", "PATCH", { done: true }],
    ["/users/7", "PATCH", { full_name: "Ada" }],
  ]);
});

test("refusals and outages are told apart", async () => {
  mock.method(globalThis, "fetch", async () => new Response("", { status: 404 }));
  await assert.rejects(api.renew("a/b"), { status: 404, message: "GET /sessions/a%2Fb: HTTP 404" });
  mock.restoreAll();
  mock.method(globalThis, "fetch", async () => {
    throw new TypeError("Failed to fetch");
  });
  await assert.rejects(api.userOf(7), { status: 0, message: "the API cannot be reached" });
  mock.restoreAll();
});

test("answers are fresh for five minutes", () => {
  assert.equal(createQueries().getDefaultOptions().queries?.staleTime, 300_000);
});

const TRIES: [number, Error, boolean][] = [
  [0, new api.ApiError(0, "away"), true],
  [0, new api.ApiError(503, "replaced"), true],
  [3, new api.ApiError(503, "replaced"), false],
  [0, new api.ApiError(404, "none"), false],
  [0, new api.OutdatedError("old"), false],
];
for (const [failures, error, expected] of TRIES) {
  test(`after ${failures} failures, ${error.message}: ${expected ? "again" : "no more"}`, () => {
    assert.equal(again(failures, error), expected);
  });
}
