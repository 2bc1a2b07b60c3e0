/** How one device is connected, and what goes over its line. */

import { call } from "./raw";
import type { SeriesSet } from "./fleet";

/** As the device said last. */
export interface NetworkReport { link: string; port_mbps?: number | null; ipv6: boolean; ipv4: boolean; metered: boolean; gateway?: boolean | null; dns?: boolean | null }
export interface DeviceTraffic { hours: number; rx_bytes: number; tx_bytes: number; lessons_line_bytes: number; lessons_lan_bytes: number; lessons_given_bytes: number; telemetry_bytes: number }
export interface DeviceNetwork {
  report?: NetworkReport | null;
  latest_at?: string | null;
  link_mbps?: number | null;
  wifi_signal_percent?: number | null;
  gateway_rtt_ms?: number | null;
  console_rtt_ms?: number | null;
  console_loss_percent?: number | null;
  dns_ms?: number | null;
  traffic: DeviceTraffic[];
  history: SeriesSet;
}

export const network = {
  of: (id: string, from: string, to: string) => call<DeviceNetwork>("get", `/devices/${encodeURIComponent(id)}/network`, { query: { from, to } }),
};
