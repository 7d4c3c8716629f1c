import type { ErrorFacts } from "@/lib/api-types";

/** An error whose message is written for the person in front of the screen. */
export class SaidError extends Error {}

/** What the API answered instead of success. `reason` is its stable word, `requestId` names the request in our logs. */
export class ApiError extends SaidError {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterSeconds: number | null;

  constructor(status: number, facts: Partial<ErrorFacts>, headers: Headers) {
    super(facts.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = facts.code ?? "INTERNAL_ERROR";
    this.requestId = facts.request_id ?? headers.get("x-request-id");
    this.details = wordsOf(facts.details ?? {});
    const wait = headers.get("retry-after");
    this.retryAfterSeconds = wait !== null && /^\d+$/.test(wait) ? Number(wait) : null;
  }

  get reason(): string {
    return this.details["reason"] ?? "";
  }
}

/** What the details say in words; beside them a refused order has a body that would be accepted. */
function wordsOf(details: ErrorFacts["details"]): Record<string, string> {
  const words: Record<string, string> = {};
  for (const [name, value] of Object.entries(details)) if (typeof value === "string") words[name] = value;
  return words;
}

/** Nothing came back: whether the request took effect is not known. */
export class NetworkError extends SaidError {
  override readonly name = "NetworkError";

  constructor(cause: unknown) {
    super("The server could not be reached.", { cause });
  }
}

export function messageOf(error: unknown): string {
  return error instanceof SaidError ? error.message : "Something went wrong here.";
}

export function requestIdOf(error: unknown): string | null {
  return error instanceof ApiError ? error.requestId : null;
}
