"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, type SyntheticEvent } from "react";

import * as api from "../lib/api.ts";
import { settings } from "../lib/settings.ts";
import { useApp } from "../lib/state.ts";

function Problem({ error }: { error: Error | null }) {
  if (!error) return null;
  if (error instanceof api.OutdatedError) {
    return (
      <p role="alert" id="outdated">
        This page is older than the API. <button onClick={() => location.reload()}>Reload it</button>
      </p>
    );
  }
  return <p role="alert">{error.message}</p>;
}

/** The one text field of a form that was submitted, which is emptied unless `keep`. */
function entered(event: SyntheticEvent<HTMLFormElement>, keep = false): string {
  event.preventDefault();
  const form = event.currentTarget;
  const text = String(new FormData(form).get("text") ?? "").trim();
  if (!keep) form.reset();
  return text;
}

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

function Tasks({ userId }: { userId: number }) {
  const queries = useQueryClient();
  const { filter, show } = useApp();
  const key = ["tasks", userId];
  const tasks = useQuery({ queryKey: key, queryFn: () => api.tasksOf(userId) });
  const onSuccess = () => queries.invalidateQueries({ queryKey: key });
  const add = useMutation({ mutationFn: (title: string) => api.addTask(userId, title), onSuccess });
  const change = useMutation({ mutationFn: (task: api.Task) => api.setDone(task.id, !task.done), onSuccess });
  const shown = (tasks.data ?? []).filter((task) => filter === "all" || !task.done);
  return (
    <section>
      <form id="add" onSubmit={(event) => add.mutate(entered(event))}>
        <input name="text" required maxLength={500} placeholder="New task" aria-label="New task" />
        <button>Add</button>
      </form>
      <label>
        <input id="open" type="checkbox" checked={filter === "open"} onChange={(event) => show(event.target.checked ? "open" : "all")} />{" "}
        Only open tasks
      </label>
      <ul id="tasks">
        {shown.map((task) => (
          <li key={task.id}>
            <label>
              <input type="checkbox" checked={task.done} onChange={() => change.mutate(task)} /> {task.title}
            </label>
          </li>
        ))}
      </ul>
      <Problem error={tasks.error ?? add.error ?? change.error} />
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
      <Tasks userId={session.userId} />
      {own ? <button onClick={signOut}>Sign out</button> : null}
    </main>
  );
}
