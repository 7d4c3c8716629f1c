import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/lib/api-error";

const READ_RETRIES_MAX = 2;
const SHOULD_RETRY_FROM = 500;

/** Reads are repeated where a repeat may help; a mutation never is by itself. */
export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        retry: (failures, error) =>
          failures < READ_RETRIES_MAX && !(error instanceof ApiError && error.status < SHOULD_RETRY_FROM),
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5_000),
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
}

/** The one client of the page; the stream writes into it too. */
export const queryClient = makeQueryClient();
