import { ref } from "vue";

import { session as api } from "@/api";
import { startLive, stopLive } from "@/api/events";
import { asProblem } from "@/api/problem";
import type { Problem, Session } from "@/api/types";

/** Who is signed in: `undefined` until asked, `null` when nobody. */
export const session = ref<Session | null | undefined>(undefined);

/** Why it could not be found out whether somebody is signed in; the sign-in page says so. */
export const unknownBecause = ref<Problem | null>(null);

/** Changes are told to whoever may see the overview; others have nothing that changes under their hands. */
function listen(): void {
  if (session.value?.actions.includes("overview.read")) startLive();
}

/** Asks once; a console that cannot be reached counts as nobody, and the sign-in page will say so. */
export async function whoami(): Promise<Session | null> {
  if (session.value !== undefined) return session.value;
  try {
    session.value = await api.get();
    unknownBecause.value = null;
    listen();
  } catch (cause) {
    const problem = asProblem(cause);
    unknownBecause.value = problem.status === 401 ? null : problem;
    if (problem.status === 401) session.value = null;
    return null;
  }
  return session.value ?? null;
}

export async function signIn(username: string, password: string, totp?: string): Promise<void> {
  session.value = await api.create(username, password, totp);
  unknownBecause.value = null;
  listen();
}

/** Asks anew, after something about oneself changed. */
export async function refreshSession(): Promise<void> {
  session.value = await api.get();
}

export async function signOut(): Promise<void> {
  stopLive();
  try {
    await api.remove();
  } finally {
    session.value = null;
  }
}

/** The console forgot us (12 hours idle, or a restart with another data folder). */
export function forgetSession(): void {
  stopLive();
  session.value = null;
}
