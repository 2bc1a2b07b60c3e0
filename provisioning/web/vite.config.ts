import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { ElementPlusResolver } from "unplugin-vue-components/resolvers";
import Components from "unplugin-vue-components/vite";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` sends API calls: the real console, or `npm run mock`. */
const console_url = process.env.BBT_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [
    vue(),
    Components({
      dts: "components.d.ts",
      dirs: [], // our own components are imported by name; only Element Plus is found by tag
      resolvers: [ElementPlusResolver({ importStyle: "css" })],
    }),
  ],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  define: {
    __VUE_I18N_FULL_INSTALL__: true,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_JIT_COMPILATION__: true, // messages are interpreted, never turned into code: the CSP forbids eval
  },
  build: {
    target: "chrome100",
    assetsInlineLimit: 2048,
    chunkSizeWarningLimit: 650,
  },
  server: { host: "127.0.0.1", port: 5173, proxy: { "/api": console_url } },
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
});
