import type { SyntheticEvent } from "react";

import { OutdatedError } from "../lib/api.ts";
import { Outdated } from "./outdated.tsx";

export function Problem({ error }: { error: Error | null }) {
  if (!error) return null;
  if (error instanceof OutdatedError) return <Outdated than="the API" />;
  return <p role="alert">{error.message}</p>;
}

/** The one text field of a form that was submitted, which is emptied unless `keep`. */
export function entered(event: SyntheticEvent<HTMLFormElement>, keep = false): string {
  event.preventDefault();
  const form = event.currentTarget;
  const text = String(new FormData(form).get("text") ?? "").trim();
  if (!keep) form.reset();
  return text;
}
