import { QueryClientProvider } from "@tanstack/react-query";
import { BrowserRouter } from "react-router";
import { LiveData } from "@/app/LiveData";
import { Router } from "@/app/Router";
import { ToastRegion } from "@/components/ui/Toasts";
import { queryClient } from "@/lib/query-client";

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <BrowserRouter>
        <LiveData />
        <Router />
        <ToastRegion />
      </BrowserRouter>
    </QueryClientProvider>
  );
}
