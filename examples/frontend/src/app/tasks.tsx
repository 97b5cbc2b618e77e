"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import * as api from "../lib/api.ts";
import { useApp } from "../lib/state.ts";
import { entered, Problem } from "./forms.tsx";

export default function Tasks({ userId }: { userId: number }) {
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
