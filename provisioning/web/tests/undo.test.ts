import { beforeEach, describe, expect, it, vi } from "vitest";

import { ProblemError } from "../src/api/problem";
import { letGo, offer, offerUndo, passUndo, UNDO_MS, undoNow } from "../src/composables/useUndo";

describe("taking back", () => {
  beforeEach(letGo);

  it("is offered for ten seconds", () => {
    offerUndo({ said: "moved", back: async () => undefined });
    passUndo(UNDO_MS - 1);
    expect(offer.value?.said).toBe("moved");
    passUndo(1);
    expect(offer.value).toBeNull();
  });

  it("is done once however often it is pressed, and then looked at", async () => {
    let done = (): void => undefined;
    const back = vi.fn(() => new Promise<void>((resolve) => (done = resolve)));
    const after = vi.fn();
    offerUndo({ said: "moved", back, after });
    const first = undoNow();
    expect(await undoNow()).toBe(false);
    // While it is under way the clock stands: it is not pulled from under the finger.
    passUndo(UNDO_MS * 2);
    expect(offer.value).not.toBeNull();
    expect(after).not.toHaveBeenCalled();
    done();
    expect(await first).toBe(true);
    expect(back).toHaveBeenCalledTimes(1);
    expect(after).toHaveBeenCalledTimes(1);
    expect(offer.value).toBeNull();
  });

  it("stays with its problem and the request's id when the console refuses, and may be tried again", async () => {
    const back = vi.fn(async () => {
      if (back.mock.calls.length === 1) throw new ProblemError({ status: 409, code: "conflict", message: "too late", detail: "", request_id: "r1" });
    });
    offerUndo({ said: "taken", back });
    expect(await undoNow()).toBe(false);
    expect(offer.value?.problem?.request_id).toBe("r1");
    passUndo(UNDO_MS * 2);
    expect(offer.value?.problem?.message).toBe("too late");
    expect(await undoNow()).toBe(true);
    expect(offer.value).toBeNull();
  });

  it("gives way to what was done next, and a slow one does not end the next one's offer", async () => {
    let done = (): void => undefined;
    offerUndo({ said: "one", back: () => new Promise<void>((resolve) => (done = resolve)) });
    const slow = undoNow();
    offerUndo({ said: "two", back: async () => undefined });
    done();
    expect(await slow).toBe(true);
    expect(offer.value?.said).toBe("two");
  });
});
