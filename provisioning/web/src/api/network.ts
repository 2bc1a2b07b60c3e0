/** How one device is connected, and what goes over its line. */

import { call } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];

export type NetworkReport = Schemas["NetworkReport"];
export type DeviceTraffic = Schemas["DeviceTraffic"];
export type DeviceNetwork = Schemas["DeviceNetwork"];

export const network = {
  of: (id: string, from: string, to: string) => call<DeviceNetwork>("get", `/devices/${encodeURIComponent(id)}/network`, { query: { from, to } }),
};
