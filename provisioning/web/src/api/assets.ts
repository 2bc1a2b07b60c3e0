/** Equipment and who answers for it, areas of responsibility, inspections. */

import type { Paged, Place } from "./incidents";
import { call, fileUrl } from "./raw";
import type { components } from "./schema";
import { send } from "./upload";

type Schemas = components["schemas"];
export type Asset = Schemas["Asset"];
export type AssetKind = Schemas["AssetKind"];
export const ASSET_KINDS = ["terminal", "panel", "projector", "whiteboard", "display", "computer", "sound", "network", "other"] as const satisfies readonly AssetKind[];
export type AssetChange = Schemas["AssetChange"];
export type AssetReport = Schemas["AssetReport"];
export type EquipmentRow = Schemas["EquipmentRow"];
export type Area = Schemas["Area"];
export type NewArea = Schemas["NewArea"];
export type AreaPerson = Schemas["AreaPerson"];
export type NewAsset = Schemas["NewAsset"];
export type NewInspection = Schemas["NewInspection"];
export type Inspection = Schemas["Inspection"];
export type InspectionResult = Schemas["InspectionResult"];

export const assets = {
  list: (query: Paged & Place & { kind?: AssetKind; incomplete?: boolean; search?: string; sort?: string }) => call<Schemas["AssetPage"]>("get", "/assets", { query }),
  change: (id: number, body: AssetChange) => call<Asset>("patch", `/assets/${id}`, { body }),
  create: (body: Schemas["NewAsset"]) => call<Asset>("post", "/assets", { body }),
  equipment: (place: Place) => call<Schemas["Equipment"]>("get", "/equipment", { query: place }),
  templateUrl: () => "/api/v1/assets/template",
  import: (region: number, file: File, apply: boolean) => {
    const form = new FormData();
    form.append("file", file, file.name);
    return send<AssetReport>(fileUrl(`/regions/${region}/assets`, apply ? { apply } : {}), form, () => {}).done;
  },
  areas: () => call<Area[]>("get", "/areas"),
  addArea: (body: NewArea) => call<Area>("post", "/areas", { body }),
  setArea: (id: number, body: NewArea) => call<Area>("put", `/areas/${id}`, { body }),
  removeArea: (id: number) => call<void>("delete", `/areas/${id}`),
  inspect: (body: NewInspection) => call<Schemas["InspectionKept"]>("post", "/inspections", { body }),
  inspections: (query: Paged & Place & { from: string; to: string; result?: InspectionResult }) => call<Schemas["InspectionPage"]>("get", "/inspections", { query }),
};
