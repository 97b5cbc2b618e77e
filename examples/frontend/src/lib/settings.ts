/** What a build is given. Next.js replaces each `process.env.NEXT_PUBLIC_*` by its value, so they are named in full. */

export interface Settings {
  /** Where the API is; empty means where the page came from. */
  apiUrl: string;
  sentryDsn: string;
  sentryEnvironment: string;
  release: string;
  /** Share of page loads that Sentry traces, and share of the traced ones that it profiles. */
  tracesSampleRate: number;
  profilesSampleRate: number;
  clerkPublishableKey: string;
}

/** A share from 0 to 1; anything else is a typing error, and must not send every page load to Sentry. */
export function share(text: string | undefined, otherwise: number): number {
  const value = text?.trim() ? Number(text) : otherwise;
  return value >= 0 && value <= 1 ? value : otherwise;
}

export const settings: Settings = {
  apiUrl: (process.env.NEXT_PUBLIC_API_URL ?? "").replace(/\/+$/, ""),
  sentryDsn: process.env.NEXT_PUBLIC_SENTRY_DSN ?? "",
  sentryEnvironment: process.env.NEXT_PUBLIC_SENTRY_ENVIRONMENT ?? "development",
  // Vercel gives each build its commit.
  release: process.env.NEXT_PUBLIC_RELEASE || process.env.NEXT_PUBLIC_VERCEL_GIT_COMMIT_SHA || "",
  tracesSampleRate: share(process.env.NEXT_PUBLIC_SENTRY_TRACES_SAMPLE_RATE, 0.1),
  profilesSampleRate: share(process.env.NEXT_PUBLIC_SENTRY_PROFILES_SAMPLE_RATE, 0.01),
  clerkPublishableKey: process.env.NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY ?? "",
};
