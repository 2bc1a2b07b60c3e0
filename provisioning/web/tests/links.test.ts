import { expect, test } from "vitest";

import { isWeb } from "../src/lib/links";

test("only addresses of the web are links", () => {
  for (const url of ["http://192.168.1.20:8008/", "https://board.lan/", "HTTP://x/"]) expect(isWeb(url), url).toBe(true);
  for (const url of ["javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:x", "data:text/html,x", "/relative", "", "=1+1", "vbscript:x", "file:///etc/passwd"]) expect(isWeb(url), url).toBe(false);
});
