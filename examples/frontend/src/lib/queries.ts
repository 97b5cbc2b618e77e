/** React Query's settings. */

import { QueryClient } from "@tanstack/react-query";

import { ApiError, OutdatedError } from "./api.ts";

/** How long an answer counts as fresh. After a deploy, pages and API of different versions overlap at least that long. */
export const STALE_MILLISECONDS = 5 * 60 * 1000;

/** Only what may be better the next time is tried again: the API is away, or being replaced. */
export function again(failures: number, error: Error): boolean {
  if (error instanceof OutdatedError) return false;
  const mayPass = !(error instanceof ApiError) || error.status === 0 || error.status >= 500;
  return mayPass && failures < 3;
}

export function createQueries(): QueryClient {
  return new QueryClient({ defaultOptions: { queries: { staleTime: STALE_MILLISECONDS, retry: again } } });
}
