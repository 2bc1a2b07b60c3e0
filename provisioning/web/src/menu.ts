import { AlarmClock, Bell, Box, Calendar, Collection, Connection, CopyDocument, DataLine, Document, Files, Finished, Iphone, Monitor, Mute, Notebook, Odometer, PieChart, Position, Reading, School, Service, SetUp, Setting, Tickets, Upload, User, Warning } from "@element-plus/icons-vue";
import type { Component } from "vue";

/** One way through the pages; shown to who may do `action`. */
export interface MenuEntry {
  to: string;
  icon: Component;
  /** Key of its name in the catalogues. */
  label: string;
  action: string;
  /** Shows how many wait there. */
  badge?: "security";
}

/** In the order of a day's work. A group whose entries one may not see is not there. */
export const MENU: { key: string; entries: MenuEntry[] }[] = [
  {
    key: "daily",
    entries: [
      { to: "/", icon: Odometer, label: "page.overview", action: "overview.read" },
      { to: "/schools", icon: School, label: "page.schools", action: "tree.read" },
      { to: "/devices", icon: Monitor, label: "page.devices", action: "devices.read" },
      { to: "/lessons", icon: Collection, label: "page.lessons", action: "lessons.read" },
      { to: "/reviews", icon: Finished, label: "page.reviews", action: "reviews.read" },
      { to: "/pushes", icon: Position, label: "page.pushes", action: "pushes.read" },
      { to: "/packs", icon: Files, label: "page.packs", action: "packs.read" },
    ],
  },
  {
    key: "teaching",
    entries: [
      { to: "/timetables", icon: Calendar, label: "page.timetables", action: "timetables.read" },
      { to: "/readiness", icon: Reading, label: "page.readiness", action: "readiness.read" },
      { to: "/usage", icon: DataLine, label: "page.usage", action: "usage.read" },
      { to: "/exams", icon: Mute, label: "page.exams", action: "exams.read" },
      { to: "/notices", icon: Bell, label: "page.notices", action: "notices.read" },
    ],
  },
  {
    key: "operations",
    entries: [
      { to: "/incidents", icon: AlarmClock, label: "page.incidents", action: "alerts.read" },
      { to: "/faults", icon: Service, label: "page.faults", action: "faults.read" },
      { to: "/orders", icon: SetUp, label: "page.orders", action: "orders.read" },
      { to: "/bandwidth", icon: Connection, label: "page.bandwidth", action: "bandwidth.read" },
      { to: "/assets", icon: Box, label: "page.assets", action: "assets.read" },
      { to: "/reports", icon: PieChart, label: "page.reports", action: "reports.read" },
      { to: "/registers", icon: Notebook, label: "page.registers", action: "reports.read" },
    ],
  },
  {
    key: "setUp",
    entries: [
      { to: "/roster", icon: Upload, label: "page.roster", action: "roster.import" },
      { to: "/tickets", icon: Tickets, label: "page.tickets", action: "tickets.read" },
      { to: "/claims", icon: Iphone, label: "page.claims", action: "claims.decide" },
    ],
  },
  {
    key: "safety",
    entries: [
      { to: "/security", icon: Warning, label: "page.security", action: "security.read", badge: "security" },
      { to: "/clones", icon: CopyDocument, label: "page.clones", action: "clones.read" },
      { to: "/people", icon: User, label: "page.people", action: "users.read" },
      { to: "/audit", icon: Document, label: "page.audit", action: "audit.read" },
      { to: "/system", icon: Setting, label: "page.system", action: "system.read" },
    ],
  },
];
