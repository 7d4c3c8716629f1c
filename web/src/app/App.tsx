import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { BrowserRouter } from "react-router";
import { Router } from "@/app/Router";
import { queryClient } from "@/lib/query-client";

// These come after the first paint: a page shows its frame without them.
const ToastRegion = lazy(() => import("@/components/ui/ToastRegion"));
const LiveData = lazy(() => import("@/app/LiveData"));

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <BrowserRouter>
        <Suspense>
          <LiveData />
        </Suspense>
        <Router />
        <Suspense>
          <ToastRegion />
        </Suspense>
      </BrowserRouter>
    </QueryClientProvider>
  );
}
