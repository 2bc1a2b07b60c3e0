import { createRouter, createWebHistory } from "vue-router";

import { whoami } from "./composables/useSession";
import { watchSetup } from "./composables/useSetupReturn";
import { i18n } from "./i18n";

declare module "vue-router" {
  interface RouteMeta {
    /** Key of the page's name in the catalogues. */
    title: string;
    /** May be seen by anybody. */
    open?: boolean;
    /** Which entry of the menu is lit. */
    menu?: string;
    /** What one must be allowed to do to see the page at all. */
    action?: string;
  }
}

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/sign-in", name: "sign-in", component: () => import("./pages/SignIn.vue"), meta: { title: "page.signIn", open: true } },
    { path: "/diag", name: "diag", component: () => import("./pages/Diag.vue"), meta: { title: "page.diag", open: true } },
    { path: "/m", name: "phone", component: () => import("./pages/Phone.vue"), meta: { title: "page.phone", action: "orders.read" } },
    { path: "/m/orders/:id(\\d+)", name: "phone-order", component: () => import("./pages/PhoneOrder.vue"), props: (to) => ({ id: Number(to.params.id) }), meta: { title: "page.order", action: "orders.read" } },
    { path: "/wall", name: "wall", component: () => import("./pages/Wall.vue"), meta: { title: "page.wall", action: "overview.read" } },
    { path: "/setup", name: "setup", component: () => import("./pages/Setup.vue"), meta: { title: "page.setup", action: "overview.read" } },
    { path: "/claim", name: "claim", component: () => import("./pages/Claim.vue"), meta: { title: "page.claim", action: "claims.decide" } },
    {
      path: "/",
      component: () => import("./pages/Layout.vue"),
      meta: { title: "page.overview" },
      children: [
        { path: "", name: "overview", component: () => import("./pages/Overview.vue"), meta: { title: "page.overview", menu: "/", action: "overview.read" } },
        { path: "schools", name: "schools", component: () => import("./pages/Schools.vue"), meta: { title: "page.schools", menu: "/schools", action: "tree.read" } },
        { path: "devices", name: "devices", component: () => import("./pages/Devices.vue"), meta: { title: "page.devices", menu: "/devices", action: "devices.read" } },
        { path: "devices/:id", name: "device", component: () => import("./pages/Device.vue"), props: true, meta: { title: "page.device", menu: "/devices", action: "devices.read" } },
        { path: "lessons", name: "lessons", component: () => import("./pages/Lessons.vue"), meta: { title: "page.lessons", menu: "/lessons", action: "lessons.read" } },
        { path: "lessons/:id", name: "lesson", component: () => import("./pages/Lesson.vue"), props: true, meta: { title: "page.lesson", menu: "/lessons", action: "lessons.read" } },
        { path: "lesson-imports", name: "lesson-import", component: () => import("./pages/LessonImport.vue"), meta: { title: "page.lessonImport", menu: "/lessons", action: "lessons.write" } },
        { path: "pushes", name: "pushes", component: () => import("./pages/Pushes.vue"), meta: { title: "page.pushes", menu: "/pushes", action: "pushes.read" } },
        { path: "pushes/new", name: "push-new", component: () => import("./pages/PushNew.vue"), meta: { title: "page.pushNew", menu: "/pushes", action: "pushes.write" } },
        { path: "pushes/:id", name: "push", component: () => import("./pages/Push.vue"), props: true, meta: { title: "page.push", menu: "/pushes", action: "pushes.read" } },
        { path: "reviews", name: "reviews", component: () => import("./pages/Reviews.vue"), meta: { title: "page.reviews", menu: "/reviews", action: "reviews.read" } },
        { path: "packs", name: "packs", component: () => import("./pages/Packs.vue"), meta: { title: "page.packs", menu: "/packs", action: "packs.read" } },
        { path: "timetables", name: "timetables", component: () => import("./pages/Timetables.vue"), meta: { title: "page.timetables", menu: "/timetables", action: "timetables.read" } },
        { path: "readiness", name: "readiness", component: () => import("./pages/Readiness.vue"), meta: { title: "page.readiness", menu: "/readiness", action: "readiness.read" } },
        { path: "usage", name: "usage", component: () => import("./pages/Usage.vue"), meta: { title: "page.usage", menu: "/usage", action: "usage.read" } },
        { path: "exams", name: "exams", component: () => import("./pages/Exams.vue"), meta: { title: "page.exams", menu: "/exams", action: "exams.read" } },
        { path: "exams/:id", name: "exam", component: () => import("./pages/Exam.vue"), props: true, meta: { title: "page.exam", menu: "/exams", action: "exams.read" } },
        { path: "faults", name: "faults", component: () => import("./pages/Faults.vue"), meta: { title: "page.faults", menu: "/faults", action: "faults.read" } },
        { path: "incidents", name: "incidents", component: () => import("./pages/Incidents.vue"), meta: { title: "page.incidents", menu: "/incidents", action: "alerts.read" } },
        { path: "incidents/:id(\\d+)", name: "incident", component: () => import("./pages/Incident.vue"), props: (to) => ({ id: Number(to.params.id) }), meta: { title: "page.incident", menu: "/incidents", action: "alerts.read" } },
        { path: "orders", name: "orders", component: () => import("./pages/Orders.vue"), meta: { title: "page.orders", menu: "/orders", action: "orders.read" } },
        { path: "orders/:id(\\d+)", name: "order", component: () => import("./pages/Order.vue"), props: (to) => ({ id: Number(to.params.id) }), meta: { title: "page.order", menu: "/orders", action: "orders.read" } },
        { path: "alert-settings", name: "alert-settings", component: () => import("./pages/AlertSettings.vue"), meta: { title: "page.alertSettings", menu: "/incidents", action: "alerts.read" } },
        { path: "order-settings", name: "order-settings", component: () => import("./pages/OrderSettings.vue"), meta: { title: "page.orderSettings", menu: "/orders", action: "orders.read" } },
        { path: "wall-codes", name: "wall-codes", component: () => import("./pages/WallCodes.vue"), meta: { title: "page.wallCodes", menu: "/orders", action: "orders.read" } },
        { path: "bandwidth", name: "bandwidth", component: () => import("./pages/Bandwidth.vue"), meta: { title: "page.bandwidth", menu: "/bandwidth", action: "bandwidth.read" } },
        { path: "bandwidth/rules", name: "bandwidth-rules", component: () => import("./pages/BandwidthRules.vue"), meta: { title: "page.bandwidthRules", menu: "/bandwidth", action: "bandwidth.rules_read" } },
        { path: "assets", name: "assets", component: () => import("./pages/Assets.vue"), meta: { title: "page.assets", menu: "/assets", action: "assets.read" } },
        { path: "reports", name: "reports", component: () => import("./pages/Reports.vue"), meta: { title: "page.reports", menu: "/reports", action: "reports.read" } },
        { path: "reports/:id(\\d+)", name: "report", component: () => import("./pages/Report.vue"), props: (to) => ({ id: Number(to.params.id) }), meta: { title: "page.report", menu: "/reports", action: "reports.read" } },
        { path: "reports/preview", name: "report-preview", component: () => import("./pages/ReportPreview.vue"), meta: { title: "page.reportPreview", menu: "/reports", action: "reports.read" } },
        { path: "registers", name: "registers", component: () => import("./pages/Registers.vue"), meta: { title: "page.registers", menu: "/registers", action: "reports.read" } },
        { path: "notices", name: "notices", component: () => import("./pages/Notices.vue"), meta: { title: "page.notices", menu: "/notices", action: "notices.read" } },
        { path: "tickets", name: "tickets", component: () => import("./pages/Tickets.vue"), meta: { title: "page.tickets", menu: "/tickets", action: "tickets.read" } },
        { path: "claims", name: "claims", component: () => import("./pages/Claims.vue"), meta: { title: "page.claims", menu: "/claims", action: "claims.decide" } },
        { path: "clones", name: "clones", component: () => import("./pages/Clones.vue"), meta: { title: "page.clones", menu: "/clones", action: "clones.read" } },
        { path: "roster", name: "roster", component: () => import("./pages/Roster.vue"), meta: { title: "page.roster", menu: "/roster", action: "roster.import" } },
        { path: "security", name: "security", component: () => import("./pages/Security.vue"), meta: { title: "page.security", menu: "/security", action: "security.read" } },
        { path: "people", name: "people", component: () => import("./pages/People.vue"), meta: { title: "page.people", menu: "/people", action: "users.read" } },
        { path: "people/:id(\\d+)", name: "person", component: () => import("./pages/Person.vue"), props: (to) => ({ id: Number(to.params.id) }), meta: { title: "page.person", menu: "/people", action: "users.read" } },
        { path: "roles", name: "roles", component: () => import("./pages/Roles.vue"), meta: { title: "page.roles", menu: "/people", action: "users.read" } },
        { path: "audit", name: "audit", component: () => import("./pages/Audit.vue"), meta: { title: "page.audit", menu: "/audit", action: "audit.read" } },
        { path: "account", name: "account", component: () => import("./pages/Account.vue"), meta: { title: "page.account" } },
        { path: "system", name: "system", component: () => import("./pages/System.vue"), meta: { title: "page.system", menu: "/system", action: "system.read" } },
        { path: ":rest(.*)*", name: "not-found", component: () => import("./pages/NotFound.vue"), meta: { title: "page.notFound" } },
      ],
    },
  ],
});

/** Pages are parts of their own: they are fetched while it is asked who is there, not after. */
function fetchParts(matched: readonly { components?: Record<string, unknown> | null }[]): void {
  for (const { components } of matched) for (const part of Object.values(components ?? {})) if (typeof part === "function") void (part as () => Promise<unknown>)().catch(() => {});
}

router.beforeEach(async (to) => {
  fetchParts(to.matched);
  // A photo's fault code is read without asking the console anything at all.
  if (to.name === "diag") return true;
  const who = await whoami();
  if (!who && !to.meta.open) return { name: "sign-in", query: to.fullPath === "/" ? {} : { to: to.fullPath } };
  if (who && to.name === "sign-in") return typeof to.query.to === "string" && /^\/(?![/\\])/.test(to.query.to) ? to.query.to : { name: "overview" };
  return true;
});

// After an update of the console the parts that this tab knows are gone: the page is fetched anew, once for each address.
router.onError((cause: unknown, to) => {
  if (!/dynamically imported module|module script failed|Unable to preload CSS/i.test(String(cause)) || sessionStorage.getItem("bbt-anew") === to.fullPath) return;
  sessionStorage.setItem("bbt-anew", to.fullPath);
  window.location.assign(to.fullPath);
});

router.afterEach((to) => {
  document.title = `${i18n.global.t(to.meta.title)} · ${i18n.global.t("app.name")}`;
});
watchSetup(router);
