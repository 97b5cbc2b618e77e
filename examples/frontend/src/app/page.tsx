"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";

import * as api from "../lib/api.ts";
import { settings } from "../lib/settings.ts";
import { useApp } from "../lib/state.ts";
import { entered, Problem } from "./forms.tsx";

// Only who has signed in needs it. A tab that was open before a deploy asks for that of its own release.
const Tasks = lazy(() => import("./tasks.tsx"));

function SignIn() {
  const keep = useApp((app) => app.signIn);
  const { mutate, error } = useMutation({ mutationFn: api.signIn, onSuccess: keep });
  return (
    <form id="sign-in" onSubmit={(event) => mutate(entered(event, true))}>
      <input name="text" type="email" required placeholder="E-mail address" aria-label="E-mail address" />
      <button>Sign in</button>
      <Problem error={error} />
    </form>
  );
}

function Profile({ userId }: { userId: number }) {
  const queries = useQueryClient();
  const key = ["user", userId];
  const user = useQuery({ queryKey: key, queryFn: () => api.userOf(userId) });
  const change = useMutation({
    mutationFn: (name: string) => api.rename(userId, name),
    onSuccess: (changed) => queries.setQueryData(key, changed),
  });
  return (
    <section>
      <h1 id="name">{user.data?.fullName}</h1>
      <form id="rename" onSubmit={(event) => change.mutate(entered(event))}>
        <input name="text" required maxLength={200} placeholder="New name" aria-label="New name" />
        <button>Rename</button>
      </form>
      <Problem error={user.error ?? change.error} />
    </section>
  );
}

export default function Page() {
  const { session, signOut } = useApp();
  const own = session !== null && !settings.clerkPublishableKey;
  const renewed = useQuery({
    queryKey: ["session", session?.id],
    queryFn: async () => {
      await api.renew(session?.id ?? "");
      return true;
    },
    enabled: own,
  });
  const ended = renewed.error instanceof api.ApiError && renewed.error.status === 404;
  useEffect(() => {
    if (ended) signOut();
  }, [ended, signOut]);
  if (!session) return <main>{settings.clerkPublishableKey ? null : <SignIn />}</main>;
  return (
    <main>
      <Profile userId={session.userId} />
      <Suspense>
        <Tasks userId={session.userId} />
      </Suspense>
      {own ? <button onClick={signOut}>Sign out</button> : null}
    </main>
  );
}
