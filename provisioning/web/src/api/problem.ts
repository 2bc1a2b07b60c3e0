import type { Problem } from "./types";

/** Anything that went wrong on the way to an answer, in the console's own envelope. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message || problem.code);
    this.name = "ProblemError";
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads an error body; whatever is missing is filled from the answer's status, so that a page can always show it. */
export function readProblem(status: number, body: unknown, requestId: string | null): Problem {
  const found = body !== null && typeof body === "object" ? (body as Record<string, unknown>) : {};
  return {
    status,
    code: text(found.code) || `http_${status}`,
    title: text(found.title),
    message: text(found.message),
    detail: text(found.detail) || (typeof body === "string" ? body.slice(0, 400) : ""),
    request_id: text(found.request_id) || requestId || "",
  };
}

/** The console did not answer at all: network, proxy or a stopped process. */
export function unreachable(cause: unknown): ProblemError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ProblemError({ status: 0, code: "unreachable", message: "", detail, request_id: "" });
}

/** Turns whatever was caught into a problem that a page can show. */
export function asProblem(cause: unknown): Problem {
  return cause instanceof ProblemError ? cause.problem : unreachable(cause).problem;
}
