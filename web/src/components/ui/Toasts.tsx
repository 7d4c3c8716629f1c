import { useEffect } from "react";
import { create } from "zustand";
import { classNames } from "@/components/ui/class-names";

const SHOWN_MS = 6_000;
const TOASTS_MAX = 4;

interface Toast {
  readonly id: number;
  readonly kind: "done" | "failed";
  readonly text: string;
}

interface ToastState {
  readonly toasts: readonly Toast[];
  readonly show: (kind: Toast["kind"], text: string) => void;
  readonly close: (id: number) => void;
}

let lastId = 0;

const useToasts = create<ToastState>()((set) => ({
  toasts: [],
  show: (kind, text) => {
    lastId += 1;
    const toast = { id: lastId, kind, text };
    set(({ toasts }) => ({ toasts: [...toasts.slice(1 - TOASTS_MAX), toast] }));
  },
  close: (id) => set(({ toasts }) => ({ toasts: toasts.filter((toast) => toast.id !== id) })),
}));

/** A short word about what has just happened; it goes by itself. */
export function showToast(kind: Toast["kind"], text: string): void {
  useToasts.getState().show(kind, text);
}

export function ToastRegion() {
  const toasts = useToasts((state) => state.toasts);
  return (
    <section
      aria-label="News"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-4 bottom-20 z-50 flex flex-col items-center gap-2 sm:bottom-6"
    >
      {toasts.map((toast) => (
        <ToastLine key={toast.id} toast={toast} />
      ))}
    </section>
  );
}

function ToastLine({ toast }: { readonly toast: Toast }) {
  const close = useToasts((state) => state.close);
  const { id } = toast;
  useEffect(() => {
    const timer = setTimeout(() => close(id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id, close]);
  return (
    <p
      className={classNames(
        "pointer-events-auto max-w-lg rounded-lg border bg-surface px-4 py-3 text-sm shadow-lg",
        toast.kind === "done" ? "border-up" : "border-down",
      )}
    >
      <span aria-hidden="true" className={toast.kind === "done" ? "text-up" : "text-down"}>
        {toast.kind === "done" ? "✓ " : "✕ "}
      </span>
      {toast.text}
    </p>
  );
}
