/** From what an order may become (its acts) to what a person can press. */

import type { OrderAct, VerdictStep, WorkStep } from "@/api/orders";

export type Press = { call: "work"; step: WorkStep } | { call: "verdict"; step: VerdictStep } | { call: "cancel"; step: "cancel" };

const PRESSES: Partial<Record<OrderAct, Press & { right: string; likely: boolean; why: boolean }>> = {
  accepted: { call: "work", step: "accept", right: "orders.work", likely: true, why: false },
  on_site: { call: "work", step: "on_site", right: "orders.work", likely: true, why: false },
  repaired: { call: "work", step: "repaired", right: "orders.work", likely: true, why: false },
  confirmed: { call: "verdict", step: "confirm", right: "orders.verdict", likely: true, why: false },
  reopened: { call: "verdict", step: "reopen", right: "orders.verdict", likely: false, why: true },
  closed: { call: "verdict", step: "close", right: "orders.verdict", likely: true, why: false },
  noted: { call: "work", step: "note", right: "orders.work", likely: false, why: true },
  cancelled: { call: "cancel", step: "cancel", right: "orders.manage", likely: false, why: true },
};

/** What of `next` this person may press, the likely step first. */
export function presses(next: OrderAct[], may: (right: string) => boolean): (Press & { act: OrderAct; likely: boolean; why: boolean })[] {
  const found = next.flatMap((act) => {
    const press = PRESSES[act];
    return press && may(press.right) ? [{ ...press, act }] : [];
  });
  const first = found.find((one) => one.likely);
  return [...(first ? [first] : []), ...found.filter((one) => one !== first).map((one) => ({ ...one, likely: false }))];
}
