/** Sending a roster of schools and classrooms, as a trial or in earnest. */

import { send, type Sending } from "./upload";
import type { RosterQuery, RosterReport } from "./types";

export function importRoster(
  region: number,
  file: File,
  options: RosterQuery,
  onProgress: (sent: number, total: number) => void,
): Sending<RosterReport> {
  const form = new FormData();
  form.append("file", file, file.name);
  const query = new URLSearchParams({ apply: String(options.apply ?? false), ...(options.encoding ? { encoding: options.encoding } : {}) });
  return send<RosterReport>(`/api/v1/regions/${region}/roster?${query}`, form, onProgress);
}
