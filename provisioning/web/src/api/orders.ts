/** Work orders, spare parts, and what each region allows itself. */

import type { Paged, Place } from "./incidents";
import { call, fileUrl } from "./raw";
import type { components } from "./schema";
import { send, type Sending } from "./upload";

type Schemas = components["schemas"];

export type Order = Schemas["Order"];
export type OrderState = Schemas["OrderState"];
export const ORDER_STATES = ["new", "reopened", "accepted", "on_site", "repaired", "confirmed", "closed", "cancelled"] as const satisfies readonly OrderState[];
export type OrderClass = Schemas["OrderClass"];
export const ORDER_CLASSES = ["infrastructure", "application", "resource"] as const satisfies readonly OrderClass[];
export type OrderAct = Schemas["OrderAct"];
export type OrderDetail = Schemas["OrderDetail"];
export type OrderPhoto = Schemas["OrderPhoto"];
export type NewOrder = Schemas["NewOrder"];
export type NewRectification = Schemas["NewRectification"];
export type OrderClocks = Schemas["OrderClocks"];
export type WorkStep = Schemas["WorkStep"];
export type VerdictStep = Schemas["VerdictStep"];
export type OrderChange = Schemas["OrderChange"];
export type PhotoShows = Schemas["PhotoShows"];
export interface OrderQuery extends Paged, Place { open?: boolean; state?: OrderState; kind?: Order["kind"]; class?: OrderClass; overdue?: boolean; mine?: boolean; classroom_id?: number; device_id?: string; area_id?: number; from?: string; to?: string; q?: string; sort?: string }
export interface Span { from: string; to: string; region_id?: number; area_id?: number }

export const orders = {
  list: (query: OrderQuery) => call<Schemas["OrderPage"]>("get", "/orders", { query }),
  counts: () => call<Schemas["OrderCounts"]>("get", "/orders/counts"),
  get: (id: number) => call<OrderDetail>("get", `/orders/${id}`),
  create: (body: NewOrder) => call<OrderDetail>("post", "/orders", { body }),
  rectify: (body: NewRectification) => call<OrderDetail>("post", "/rectifications", { body }),
  work: (id: number, step: WorkStep, note: string) => call<OrderDetail>("post", `/orders/${id}/work`, { body: { step, note } }),
  verdict: (id: number, step: VerdictStep, note: string) => call<OrderDetail>("post", `/orders/${id}/verdict`, { body: { step, note } }),
  change: (id: number, body: OrderChange) => call<OrderDetail>("patch", `/orders/${id}`, { body }),
  photoUrl: (id: number, photo: number) => `/api/v1/orders/${id}/photos/${photo}`,
  addPhoto: (id: number, shows: PhotoShows, file: File, onProgress: (sent: number, total: number) => void): Sending<OrderDetail> => {
    const form = new FormData();
    form.append("file", file, file.name);
    return send<OrderDetail>(fileUrl(`/orders/${id}/photos`, { shows }), form, onProgress);
  },
  usePart: (id: number, part_id: number, count: number) => call<OrderDetail>("post", `/orders/${id}/parts`, { body: { part_id, count } }),
  evidenceUrl: (span: Span) => fileUrl("/order-evidence.zip", span),
  technicians: (span: Span) => call<Schemas["TechnicianFigures"][]>("get", "/technician-figures", { query: span }),
  techniciansUrl: (span: Span) => fileUrl("/technician-figures.csv", span),
};

export type Part = Schemas["Part"];
export const parts = {
  list: (query: { region_id?: number; low?: boolean }) => call<Part[]>("get", "/parts", { query }),
  create: (body: Schemas["NewPart"]) => call<Part>("post", "/parts", { body }),
  move: (id: number, change: number, note: string) => call<Part>("post", `/parts/${id}/moves`, { body: { change, note } }),
};

export type OrderSlas = Schemas["OrderSlas"];
export type OrderSlaRow = Schemas["OrderSlaRow"];
export const slas = {
  get: (region: number) => call<OrderSlas>("get", `/regions/${region}/order-slas`),
  set: (region: number, rows: OrderSlaRow[]) => call<OrderSlas>("put", `/regions/${region}/order-slas`, { body: { region_id: region, rows } }),
};

export type WallCode = Schemas["WallCode"];
export const wallCodes = {
  of: (school: number) => call<WallCode[]>("get", `/schools/${school}/wall-codes`),
  make: (school: number) => call<WallCode[]>("post", `/schools/${school}/wall-codes`),
  renew: (classroom: number) => call<WallCode>("post", `/classrooms/${classroom}/wall-code`),
};
