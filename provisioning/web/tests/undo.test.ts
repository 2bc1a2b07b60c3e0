import { beforeEach, describe, expect, it, vi } from "vitest";

import { ProblemError } from "../src/api/problem";
import { useAct } from "../src/composables/useAct";
import { letGo, offer, offerUndo, passUndo, UNDO_MS, undoNow } from "../src/composables/useUndo";
import { isOwn, putBack } from "../src/lib/undo";

vi.mock("element-plus", () => ({ ElMessage: { success: vi.fn(), info: vi.fn() } }));
const { ElMessage } = await import("element-plus");

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

  it("puts back the periods of one change, and leaves what others have planned since", () => {
    const p = (number: number, lesson_id: string, date = "2026-11-23") => ({ date, number, lesson_id });
    const sorted = (list: { date: string; number: number; lesson_id: string }[]) => list.map((one) => `${one.date.slice(8)}.${one.number} ${one.lesson_id}`).sort();
    const before = [p(1, "a"), p(2, "b")];
    // One was planned, one was taken away, one became another; meanwhile somebody planned the fifth period and the day after.
    const after = [p(1, "c"), p(3, "d")];
    const now = [...after, p(5, "e"), p(1, "f", "2026-11-24")];
    expect(sorted(putBack(now, before, after))).toEqual(["23.1 a", "23.2 b", "23.5 e", "24.1 f"]);
    // What somebody changed again is theirs.
    expect(sorted(putBack([p(1, "x"), p(2, "y"), p(3, "z")], before, after))).toEqual(["23.1 x", "23.2 y", "23.3 z"]);
    // Somebody took away what was planned here: it stays away, and what stood there before comes back.
    expect(sorted(putBack([], [], [p(3, "d")]))).toEqual([]);
    expect(sorted(putBack(before, before, before))).toEqual(["23.1 a", "23.2 b"]);
  });

  it("is offered only of what one has taken on oneself", async () => {
    expect([isOwn("li", "li"), isOwn("wang", "li"), isOwn(null, "li"), isOwn(undefined, undefined), isOwn("", "")]).toEqual([true, false, false, false, false]);
    const { run } = useAct();
    const undo = { undo: async () => undefined, when: (by: string) => isOwn(by, "li") };
    await run(async () => "wang", "taken", { ...undo, otherwise: "another's" });
    expect(offer.value).toBeNull();
    expect([vi.mocked(ElMessage.success).mock.calls.flat().includes("taken"), vi.mocked(ElMessage.info).mock.calls.flat()]).toEqual([false, ["another's"]]);
    await run(async () => "li", "taken", undo);
    expect(offer.value?.said).toBe("taken");
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
