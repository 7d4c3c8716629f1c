/** What this browser remembers about how things look. Nothing of it is known to the server. */
import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "system" | "light" | "dark";

interface UiSettings {
  readonly theme: Theme;
  readonly amountsHidden: boolean;
  readonly favourites: readonly string[];
  readonly setTheme: (theme: Theme) => void;
  readonly toggleAmounts: () => void;
  readonly toggleFavourite: (symbol: string) => void;
}

export const useUiSettings = create<UiSettings>()(
  persist(
    (set) => ({
      theme: "system",
      amountsHidden: false,
      favourites: [],
      setTheme: (theme) => set({ theme }),
      toggleAmounts: () => set((state) => ({ amountsHidden: !state.amountsHidden })),
      toggleFavourite: (symbol) =>
        set(({ favourites }) => ({
          favourites: favourites.includes(symbol)
            ? favourites.filter((favourite) => favourite !== symbol)
            : [...favourites, symbol],
        })),
    }),
    { name: "cryptovault-ui", version: 1 },
  ),
);

/** Puts the theme on the page, now and at every change. `system` leaves the choice to the style sheet. */
export function applyTheme(): void {
  putTheme(useUiSettings.getState());
  useUiSettings.subscribe(putTheme);
}

function putTheme({ theme }: UiSettings): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
