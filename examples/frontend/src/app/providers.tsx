"use client";

import { QueryClientProvider } from "@tanstack/react-query";
import { useReportWebVitals } from "next/web-vitals";
import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";

import { createQueries } from "../lib/queries.ts";
import { startSentry } from "../lib/sentry.ts";
import { settings } from "../lib/settings.ts";
import { useApp } from "../lib/state.ts";
import { send } from "../lib/vitals.ts";
import { Reloading } from "./outdated.tsx";

const Clerk = lazy(() => import("./clerk"));

export function Providers({ children }: { children: ReactNode }) {
  const [queries] = useState(createQueries);
  const [ready, setReady] = useState(false);
  useReportWebVitals(send);
  useEffect(() => {
    // A tab of before may no longer find its file. The page works without it.
    startSentry().catch(() => undefined);
    void useApp.persist.rehydrate();
    setReady(true);
  }, []);
  if (!ready) return null;
  const inside = <QueryClientProvider client={queries}>{children}</QueryClientProvider>;
  if (!settings.clerkPublishableKey) return <Reloading>{inside}</Reloading>;
  return (
    <Reloading>
      <Suspense>
        <Clerk publishableKey={settings.clerkPublishableKey}>{inside}</Clerk>
      </Suspense>
    </Reloading>
  );
}
