/** Calls about how boards get in, and who they are once they are. */

import { ask, client } from "./client";
import type { Ticket } from "./types";

export interface IssuedTicket { id: number; ticket: Ticket; typed_code: string; label_url?: string | null }
export interface Batch { id: number; school_id: number; school: string; created_at: string; created_by: string; expires_at: string; total: number; used: number; open: number }
export interface IssuedBatch { id: number; school: string; expires_at: string; tickets: { id: number; classroom_id: number; classroom: string; typed_code: string }[] }
export interface Claim {
  id: number; fingerprint: string; serial: string; board: string; agent_version: string; address: string; first_seen_at: string; last_seen_at: string;
  copy_of?: string | null; decision?: "approved" | "refused" | null; device_id?: string | null;
}
export interface Hardware { serial: string; mcu_id?: string | null; disk_id?: string | null; macs?: string[] }
export interface CloneSeen {
  id: number; device_id: string; school: string; classroom: string; mark: "serial" | "mcu" | "disk" | "boots"; hardware: Hardware; boot_id: string; address: string;
  original: Hardware; original_address: string; first_seen_at: string; last_seen_at: string; times: number;
  state: "quarantined" | "enrolled" | "accepted" | "dismissed"; claim_id?: number | null;
}
export type Standing = "active" | "replaced" | "revoked" | "stolen";
export interface Certificate { serial: string; state: "pending" | "current" | "retired" | "revoked"; issued_at: string; not_after: string }
export interface Identity {
  device_id: string; standing: Standing; standing_at?: string | null; standing_reason: string; standing_contact: string; hardware?: Hardware | null;
  clock_trust?: "none" | "rtc" | "peers" | "console" | null; predecessor?: string | null; successor?: string | null; certificates: Certificate[]; clones: CloneSeen[];
}
export interface UsbOutcome { name: string; serial: string; device_id?: string | null; problem?: string | null; message?: string | null }
export interface UsbAnswers { items: UsbOutcome[]; replies: Record<string, unknown> }

const at = <I>(id: I) => ({ params: { path: { id } } });

export const batches = {
  list: (): Promise<Batch[]> => ask<{ items: Batch[] }>(client.GET("/ticket-batches")).then((found) => found.items),
  create: (body: { school_id: number; classroom_ids?: number[]; ttl_hours: number }): Promise<IssuedBatch> => ask(client.POST("/ticket-batches", { body })),
  remove: (id: number): Promise<void> => ask(client.DELETE("/ticket-batches/{id}", at(id))),
  sheetUrl: (id: number) => `/api/v1/ticket-batches/${id}/sheet.pdf`,
  usbUrl: (id: number) => `/api/v1/ticket-batches/${id}/usb.zip`,
};
export const COUNTY_URL = "/api/v1/county.json";
/** What a board must know of this console; no secret. */
export const county = (): Promise<unknown> => ask(client.GET("/county.json"));

export const usb = {
  /** The requests that boards left on a disk: the files themselves, or one zip of the folder. */
  answer: (files: File[]): Promise<UsbAnswers> => {
    const body = new FormData();
    for (const file of files) body.append("file", file, file.name);
    // The document can only say "files"; what travels is the form itself.
    return ask(client.POST("/usb-requests", { body: body as unknown as { files: string[] }, bodySerializer: (form) => form as unknown as FormData }));
  },
};

export const claims = {
  list: (): Promise<Claim[]> => ask<{ items: Claim[] }>(client.GET("/claims")).then((found) => found.items),
  byFingerprint: (fingerprint: string): Promise<Claim> => ask(client.GET("/claims/by-fingerprint/{fingerprint}", { params: { path: { fingerprint } } })),
  approve: (id: number, classroom_id: number, replaces?: string): Promise<{ device_id: string }> =>
    ask(client.POST("/claims/{id}/approve", { ...at(id), body: { classroom_id, ...(replaces ? { replaces } : {}) } })),
  refuse: (id: number): Promise<void> => ask(client.POST("/claims/{id}/refuse", at(id))),
};

export const clones = {
  list: (): Promise<CloneSeen[]> => ask<{ items: CloneSeen[] }>(client.GET("/clones")).then((found) => found.items),
  enrol: (id: number, classroom_id: number): Promise<{ device_id: string }> => ask(client.POST("/clones/{id}/enrol", { ...at(id), body: { classroom_id } })),
  accept: (id: number): Promise<void> => ask(client.POST("/clones/{id}/accept", at(id))),
  dismiss: (id: number): Promise<void> => ask(client.POST("/clones/{id}/dismiss", at(id))),
};

export const identity = {
  get: (id: string): Promise<Identity> => ask(client.GET("/devices/{id}/identity", at(id))).then((found) => found as Identity),
  revoke: (id: string, reason: string): Promise<unknown> => ask(client.POST("/devices/{id}/revoke", { ...at(id), body: { reason } })),
  stolen: (id: string, reason: string, contact: string): Promise<unknown> => ask(client.POST("/devices/{id}/stolen", { ...at(id), body: { reason, contact } })),
  unlock: (id: string): Promise<{ unlock: unknown }> => ask(client.POST("/devices/{id}/unlock", at(id))),
  replace: (id: string): Promise<IssuedTicket> => ask(client.POST("/devices/{id}/replace", { ...at(id), body: {} })),
};
