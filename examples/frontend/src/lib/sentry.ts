/** Errors and performance to Sentry, if the build has its DSN; without one, nothing of it is loaded. */

import type { BrowserOptions } from "@sentry/browser";

import { settings, type Settings } from "./settings.ts";

export function options(given: Settings): BrowserOptions {
  return {
    dsn: given.sentryDsn,
    environment: given.sentryEnvironment,
    ...(given.release ? { release: given.release } : {}),
    tracesSampleRate: given.tracesSampleRate,
    // Of the traced page loads, and while a trace runs.
    profileSessionSampleRate: given.profilesSampleRate,
    profileLifecycle: "trace",
  };
}

export async function startSentry(): Promise<void> {
  if (!settings.sentryDsn) return;
  const sentry = await import("@sentry/browser");
  sentry.init({
    ...options(settings),
    // Profiles also need the header `Document-Policy: js-profiling` on the page.
    integrations: [sentry.browserTracingIntegration(), sentry.browserProfilingIntegration()],
  });
}
