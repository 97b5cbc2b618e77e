/** What the browser keeps for a user, in localStorage under `app-storage`. It outlives releases, so it has a version. */

import { create } from "zustand";
import { createJSONStorage, persist, type StateStorage } from "zustand/middleware";

export const NAME = "app-storage";
export const VERSION = 2;

export interface Session {
  id: string;
  userId: number;
}

export type Filter = "all" | "open";

export interface Saved {
  session: Session | null;
  filter: Filter;
}

export interface App extends Saved {
  signIn: (session: Session) => void;
  signOut: () => void;
  show: (filter: Filter) => void;
}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function session(value: unknown): Session | null {
  const { id, userId } = fields(value);
  return typeof id === "string" && id !== "" && Number.isInteger(userId) ? { id, userId: userId as number } : null;
}

/** What is usable of a state of this version: a field that is damaged or missing gets its default. */
export function read(saved: unknown): Saved {
  const found = fields(saved);
  return { session: session(found.session), filter: found.filter === "open" ? "open" : "all" };
}

/**
 * The state of another version in the shape of this one.
 *
 * Version 1 (release 1.0.0) had the session's id and user side by side, and `hideDone`. A later version is there after
 * the front end was rolled back: what this one knows of it is kept.
 */
export function migrate(saved: unknown, version: number): Saved {
  if (version !== 1) return read(saved);
  const found = fields(saved);
  return read({
    session: { id: found.sessionId, userId: found.userId },
    filter: found.hideDone === true ? "open" : "all",
  });
}

export function createApp(storage: () => StateStorage) {
  return create<App>()(
    persist(
      (set) => ({
        ...read({}),
        signIn: (session) => set({ session }),
        signOut: () => set({ session: null }),
        show: (filter) => set({ filter }),
      }),
      {
        name: NAME,
        version: VERSION,
        storage: createJSONStorage(storage),
        partialize: ({ session, filter }): Saved => ({ session, filter }),
        migrate,
        merge: (saved, current) => ({ ...current, ...read(saved) }),
        // The page is rendered when it is built, where there is no storage: the browser's first picture must be the same.
        skipHydration: true,
      },
    ),
  );
}

export const useApp = createApp(() => localStorage);
