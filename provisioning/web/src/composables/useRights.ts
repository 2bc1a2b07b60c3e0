import { session } from "./useSession";

/** Whether the signed-in person's roles allow an action somewhere; the console decides again, and where. What one may not do is not offered. */
export function may(action: string): boolean {
  return session.value?.actions.includes(action) ?? false;
}
