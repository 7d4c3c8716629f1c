import { create } from "zustand";

const TOASTS_MAX = 4;

export interface Toast {
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

export const useToasts = create<ToastState>()((set) => ({
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
