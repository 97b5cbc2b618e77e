/** The example API. Each answer is checked for what this build reads, so that a page that is too old can say so. */

import { settings } from "./settings.ts";

export interface User {
  id: number;
  email: string;
  fullName: string;
}

export interface Task {
  id: number;
  title: string;
  done: boolean;
}

/** The API refused, or does not answer. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The API no longer answers what this page reads: a newer page does. */
export class OutdatedError extends Error {}

type Row = Record<string, unknown>;
type Kind = { number: number; string: string; boolean: boolean };

function field<K extends keyof Kind>(row: Row, name: string, kind: K): Kind[K] {
  const value = row[name];
  if (typeof value !== kind) throw new OutdatedError(`the API's answer has no ${name}`);
  return value as Kind[K];
}

export function readUser(row: Row): User {
  return { id: field(row, "id", "number"), email: field(row, "email", "string"), fullName: field(row, "full_name", "string") };
}

export function readTask(row: Row): Task {
  return { id: field(row, "id", "number"), title: field(row, "title", "string"), done: field(row, "done", "boolean") };
}

async function ask<T>(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<T> {
  const content = body ? { body: JSON.stringify(body) } : {};
  const kind: Record<string, string> = body ? { "Content-Type": "application/json" } : {};
  let answer: Response;
  try {
    answer = await fetch(settings.apiUrl + path, { method, headers: { ...kind, ...headers }, ...content });
  } catch {
    throw new ApiError(0, "the API cannot be reached");
  }
  if (!answer.ok) throw new ApiError(answer.status, `${method} ${path}: HTTP ${answer.status}`);
  return (await answer.json()) as T;
}

export async function signIn(email: string): Promise<{ id: string; userId: number }> {
  const row = await ask<Row>("POST", "/sessions", { email });
  return { id: field(row, "id", "string"), userId: field(row, "user_id", "number") };
}

/** Whose session token of Clerk it is; null until Clerk's webhook has reported the user to the API. */
export async function userOfToken(token: string): Promise<number | null> {
  const row = await ask<Row>("GET", "/me", undefined, { Authorization: `Bearer ${token}` });
  return row.user_id === null ? null : field(row, "user_id", "number");
}

/** Renews the session; an error with status 404 says that it has ended. */
export async function renew(sessionId: string): Promise<void> {
  await ask<Row>("GET", `/sessions/${encodeURIComponent(sessionId)}`);
}

export async function userOf(id: number): Promise<User> {
  return readUser(await ask<Row>("GET", `/users/${id}`));
}

export async function rename(id: number, fullName: string): Promise<User> {
  return readUser(await ask<Row>("PATCH", `/users/${id}`, { full_name: fullName }));
}

export async function tasksOf(userId: number): Promise<Task[]> {
  return (await ask<Row[]>("GET", `/tasks?user_id=${userId}`)).map(readTask);
}

export async function addTask(userId: number, title: string): Promise<Task> {
  return readTask(await ask<Row>("POST", "/tasks", { user_id: userId, title }));
}

export async function setDone(id: number, done: boolean): Promise<Task> {
  return readTask(await ask<Row>("PATCH", `/tasks/${id}`, { done }));
}
