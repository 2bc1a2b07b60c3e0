import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { ElementPlusResolver } from "unplugin-vue-components/resolvers";
import Components from "unplugin-vue-components/vite";
import { defineConfig } from "vitest/config";

import { help } from "./dev/help.ts";

/** Where `npm run dev` sends API calls: the real console, or `npm run mock`. */
const console_url = process.env.BBT_URL ?? "http://127.0.0.1:8080";

/** The host name stays what the browser sees: the console refuses changes asked for by another origin. */
const proxy = { "/api": { target: console_url, changeOrigin: false } };

export default defineConfig({
  plugins: [
    vue(),
    Components({
      dts: "components.d.ts",
      dirs: [], // our own components are imported by name; only Element Plus is found by tag
      resolvers: [ElementPlusResolver({ importStyle: "css" })],
    }),
    help(),
  ],
  resolve: {
    alias: {
      "@": fileURLToPath(new URL("./src", import.meta.url)),
      // Element Plus' form items bring a checker for rules; no form here has any, the console judges.
      "async-validator": fileURLToPath(new URL("./src/lib/no-rules.ts", import.meta.url)),
    },
  },
  define: {
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_JIT_COMPILATION__: true, // messages are interpreted, never turned into code: the CSP forbids eval
  },
  build: {
    target: "chrome100",
    cssCodeSplit: false, // ninety pieces of style weigh half again as much as one
    assetsInlineLimit: 2048,
    chunkSizeWarningLimit: 650,
    rolldownOptions: {
      output: {
        // A hundred pieces of a kilobyte each compress badly and cost a round trip each: what several pages share comes together.
        codeSplitting: {
          groups: [
            { name: "ui", test: /node_modules[\\/](element-plus|@element-plus|@floating-ui|dayjs|lodash-unified|lodash-es|async-validator)[\\/]/, minShareCount: 4, priority: 20 },
            // Drawings bring the chart library with them: it waits for the first page that draws, however many pages do.
            { name: "shared", test: /src[\\/](components|composables|lib|api)[\\/](?!(DayBars|HealthChart|RangeBrush|SchoolMap|SchoolTreeMap|useChart)\.)/, minShareCount: 3, priority: 10 },
          ],
        },
      },
    },
  },
  // The built page against a running console, under the console's own policy: BBT_URL=… npx vite preview
  preview: {
    host: "127.0.0.1",
    port: 4173,
    proxy,
    headers: {
      "Content-Security-Policy":
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    },
  },
  server: { host: "127.0.0.1", port: 5173, proxy },
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
});
