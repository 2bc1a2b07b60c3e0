import { computed } from "vue";

import { overview, places, pushes as pushesApi } from "@/api";
import { bandwidth as bandwidthApi } from "@/api/bandwidth";
import { fleet as fleetApi } from "@/api/fleet";
import { incidents as incidentsApi, type Severity } from "@/api/incidents";
import { orders as ordersApi } from "@/api/orders";
import { timetables } from "@/api/timetables";
import { LEVELS, placed, spots } from "@/lib/county";
import { monthOf } from "@/lib/lines";
import { addDays, today } from "@/lib/timetable";
import { may } from "./useRights";
import { useResource } from "./useResource";

const LIVE = { everyMs: 5_000 };

/** How the county is at the moment, for the overview and for the wall: each figure only for whom it is meant. */
export function useCounty(list: number) {
  const sums = useResource(overview, { live: ["device", "push", "lesson"] });
  const fleet = useResource(() => fleetApi.counts(), { ...LIVE, live: ["device"], when: may("fleet.read") });
  const tree = useResource(places.tree, { ...LIVE, live: ["tree", "device"], when: may("tree.read") });
  const pushes = useResource(() => pushesApi.list({ page: 1, page_size: 50 }), { live: ["push", "device"], everyMs: 3_000, when: may("pushes.read") });
  const incidents = useResource(() => incidentsApi.list({ open: true, page: 1, page_size: list }), { ...LIVE, live: ["incident", "device"], when: may("alerts.read") });
  /** How many are open of each severity; the console counts "at least so bad". */
  const severities = useResource(
    async () => {
      const count = async (severity?: Severity): Promise<number> => (await incidentsApi.list({ open: true, severity, page: 1, page_size: 1 })).total;
      const [critical, warning, all] = await Promise.all([count("critical"), count("warning"), count()]);
      return { critical, warning: Math.max(0, warning - critical), notice: Math.max(0, all - warning) };
    },
    { live: ["incident"], everyMs: 5_000, when: may("alerts.read") },
  );
  const orders = useResource(ordersApi.counts, { live: ["order", "device"], everyMs: 10_000, when: may("orders.read") });
  const month = monthOf(today());
  const lines = useResource(
    async () => {
      const count = async (verdict?: "met" | "not_met"): Promise<number> => (await bandwidthApi.schools({ month, verdict, page: 1, page_size: 1 })).total;
      const [met, notMet, all] = await Promise.all([count("met"), count("not_met"), count()]);
      return { month, met, notMet, open: Math.max(0, all - met - notMet), all };
    },
    { live: ["device"], everyMs: 300_000, when: may("bandwidth.read") },
  );
  const tomorrow = addDays(today(), 1);
  const readiness = useResource(() => timetables.readiness(tomorrow), { live: ["push"], everyMs: 60_000, when: may("readiness.read") });

  const schools = computed(() => spots(tree.data.value?.regions ?? []));
  return {
    sums, fleet, tree, pushes, incidents, severities, orders, lines, readiness, tomorrow, schools,
    located: computed(() => placed(schools.value).length > 0),
    /** How many schools are how. */
    levels: computed(() => LEVELS.map((level) => ({ level, count: schools.value.filter((s) => s.level === level).length }))),
    worst: computed(() => schools.value.filter((s) => s.away > 0).sort((a, b) => b.away / b.devices - a.away / a.devices || b.away - a.away)),
    running: computed(() => (pushes.data.value?.items ?? []).filter((p) => !p.withdrawn_at)),
    ordersOpen: computed(() => Object.values(orders.data.value?.open ?? {}).reduce((sum, n) => sum + n, 0)),
  };
}
export type County = ReturnType<typeof useCounty>;
