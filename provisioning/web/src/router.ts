import { createRouter, createWebHistory } from "vue-router";

import { whoami } from "./composables/useSession";
import { i18n } from "./i18n";

declare module "vue-router" {
  interface RouteMeta {
    /** Key of the page's name in the catalogues. */
    title: string;
    /** May be seen by anybody. */
    open?: boolean;
    /** Which entry of the menu is lit. */
    menu?: string;
  }
}

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/sign-in", name: "sign-in", component: () => import("./pages/SignIn.vue"), meta: { title: "page.signIn", open: true } },
    {
      path: "/",
      component: () => import("./pages/Layout.vue"),
      meta: { title: "page.overview" },
      children: [
        { path: "", name: "overview", component: () => import("./pages/Overview.vue"), meta: { title: "page.overview", menu: "/" } },
        { path: "schools", name: "schools", component: () => import("./pages/Schools.vue"), meta: { title: "page.schools", menu: "/schools" } },
        { path: "devices", name: "devices", component: () => import("./pages/Devices.vue"), meta: { title: "page.devices", menu: "/devices" } },
        { path: "devices/:id", name: "device", component: () => import("./pages/Device.vue"), props: true, meta: { title: "page.device", menu: "/devices" } },
        { path: "lessons", name: "lessons", component: () => import("./pages/Lessons.vue"), meta: { title: "page.lessons", menu: "/lessons" } },
        { path: "lessons/:id", name: "lesson", component: () => import("./pages/Lesson.vue"), props: true, meta: { title: "page.lesson", menu: "/lessons" } },
        { path: "pushes", name: "pushes", component: () => import("./pages/Pushes.vue"), meta: { title: "page.pushes", menu: "/pushes" } },
        { path: "pushes/new", name: "push-new", component: () => import("./pages/PushNew.vue"), meta: { title: "page.pushNew", menu: "/pushes" } },
        { path: "pushes/:id", name: "push", component: () => import("./pages/Push.vue"), props: true, meta: { title: "page.push", menu: "/pushes" } },
        { path: "tickets", name: "tickets", component: () => import("./pages/Tickets.vue"), meta: { title: "page.tickets", menu: "/tickets" } },
        { path: "system", name: "system", component: () => import("./pages/System.vue"), meta: { title: "page.system", menu: "/system" } },
        { path: ":rest(.*)*", name: "not-found", component: () => import("./pages/NotFound.vue"), meta: { title: "page.notFound" } },
      ],
    },
  ],
});

router.beforeEach(async (to) => {
  const who = await whoami();
  if (!who && !to.meta.open) return { name: "sign-in", query: to.fullPath === "/" ? {} : { to: to.fullPath } };
  if (who && to.name === "sign-in") return { name: "overview" };
  return true;
});

router.afterEach((to) => {
  document.title = `${i18n.global.t(to.meta.title)} · ${i18n.global.t("app.name")}`;
});
