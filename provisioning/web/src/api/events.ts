/** One stream of "this changed" for all pages. A page hears kinds and fetches again; nothing is drawn from an event itself. */

import { onScopeDispose, ref } from "vue";

const KINDS = ["tree", "device", "lesson", "push", "ticket", "standing", "claim", "security", "user", "incident", "order", "report"] as const;
export type LiveKind = (typeof KINDS)[number];

/** Whether changes arrive by themselves just now. */
export const live = ref<"connecting" | "open" | "lost">("connecting");
/** A stream that has not opened after this long counts as lost. */
const PATIENCE_MS = 8_000;
let patience: ReturnType<typeof setTimeout> | undefined;

interface Listener {
  kinds: LiveKind[];
  id: string | undefined;
  call: () => void;
}

const listeners = new Set<Listener>();
let source: EventSource | null = null;
let poll: ReturnType<typeof setInterval> | null = null;
/** When the stream is down, pages are refreshed this often instead. */
const POLL_MS = 15_000;

function tell(kind: LiveKind | null, id?: string): void {
  for (const listener of [...listeners]) {
    if (kind && !listener.kinds.includes(kind)) continue;
    if (kind && id !== undefined && listener.id !== undefined && listener.id !== id) continue;
    listener.call();
  }
}

export function startLive(): void {
  if (source) return;
  source = new EventSource("/api/v1/events");
  clearTimeout(patience);
  patience = setTimeout(() => {
    if (live.value === "connecting") live.value = "lost";
  }, PATIENCE_MS);
  let everOpen = false;
  source.onopen = () => {
    live.value = "open";
    if (everOpen) tell(null); // whatever happened in between was missed
    everOpen = true;
  };
  source.onerror = () => {
    live.value = "lost";
    // The browser gives up for good when the answer was an error (signed out, proxy page): then try anew later.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(() => {
        if (poll) startLive();
      }, 5_000);
    }
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let id: string | undefined;
      try {
        const found = (JSON.parse((event as MessageEvent<string>).data) as { id?: unknown }).id;
        id = found === undefined || found === null ? undefined : String(found);
      } catch {
        id = undefined;
      }
      tell(kind, id);
    });
  }
  poll ??= setInterval(() => {
    if (live.value !== "open") tell(null);
  }, POLL_MS);
}

export function stopLive(): void {
  source?.close();
  source = null;
  live.value = "connecting";
  clearTimeout(patience);
  if (poll) clearInterval(poll);
  poll = null;
}

/** Calls back when one of these kinds changes, at most once in `everyMs`; ends with the component. */
export function onLive(kinds: LiveKind[], call: () => void, options: { id?: () => string; everyMs?: number } = {}): void {
  const every = options.everyMs ?? 1_000;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let last = 0;
  const listener: Listener = {
    kinds,
    get id() {
      return options.id?.();
    },
    call: () => {
      if (timer) return;
      timer = setTimeout(
        () => {
          timer = null;
          last = Date.now();
          call();
        },
        Math.max(0, every - (Date.now() - last)),
      );
    },
  };
  listeners.add(listener);
  onScopeDispose(() => {
    listeners.delete(listener);
    if (timer) clearTimeout(timer);
  });
}
