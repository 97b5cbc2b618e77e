/** Web vitals, as this browser measures them, for the API's histogram. */

import { settings } from "./settings.ts";

const NAMES = new Set(["CLS", "FCP", "INP", "LCP", "TTFB"]);

export interface Vital {
  name: string;
  value: number;
}

/** The body for `POST /web-vitals`, or null for what the API does not take: Next.js reports measurements of its own. */
export function body({ name, value }: Vital): string | null {
  return NAMES.has(name) && Number.isFinite(value) && value >= 0 ? JSON.stringify({ name, value }) : null;
}

/** A beacon is sent even if the page is being closed, which is when the last of them are known. */
export function send(vital: Vital): void {
  const text = body(vital);
  // As text: a JSON type would need a preflight request where the API is on another origin, which beacons cannot make.
  if (text) navigator.sendBeacon(`${settings.apiUrl}/web-vitals`, text);
}
