import { createApp } from "vue";

import "element-plus/es/components/message/style/css";
import "element-plus/es/components/message-box/style/css";
import "element-plus/theme-chalk/dark/css-vars.css";
import "./styles/theme.css";
import "./styles/base.css";

import App from "./App.vue";
import { whenSignedOut } from "./api/client";
import "./composables/useTheme"; // light or dark also outside the console's frame: sign-in and the telephone page
import { forgetSession } from "./composables/useSession";
import { i18n, spoken } from "./i18n";
import { router } from "./router";

whenSignedOut(() => {
  forgetSession();
  const from = router.currentRoute.value;
  if (from.name !== "sign-in") void router.push({ name: "sign-in", query: { to: from.fullPath, ended: "1" } });
});

await spoken;
createApp(App).use(i18n).use(router).mount("#app");
