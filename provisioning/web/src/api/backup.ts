/** Backups of the console, and boards that are ahead of a copy that was put back. */

import { ask, client } from "./client";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Backups = Schemas["Backups"];
export type RestoreConflicts = Schemas["RestoreConflicts"];
export type RestoreConflict = Schemas["RestoreConflict"];
export type Decision = Schemas["Decision"];

export const backups = {
  list: () => ask(client.GET("/backups")),
  start: (lessons: boolean) => ask(client.POST("/backups", { body: { lessons } })),
  /** The file itself, encrypted; the browser saves it. Each download is in the audit log. */
  url: (name: string) => `/api/v1/backups/${encodeURIComponent(name)}`,
};

export const restore = {
  conflicts: () => ask(client.GET("/restore-conflicts")),
  /** Without `devices`: all that nobody has decided about. */
  decide: (decision: Decision, devices?: string[]) => ask(client.POST("/restore-conflicts", { body: { decision, ...(devices ? { devices } : {}) } })),
  confirmWithdrawals: () => ask(client.POST("/restore-conflicts/withdrawals")),
};
