import { useEffect } from "react";
import { classNames } from "@/components/ui/class-names";
import { useToasts, type Toast } from "@/components/ui/toasts";

const SHOWN_MS = 6_000;

export default function ToastRegion() {
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
