/** What this browser remembers about how things look. Nothing of it is known to the server. */
import { create } from "zustand";

export type Theme = "system" | "light" | "dark";

interface UiSettings {
  readonly theme: Theme;
  readonly amountsHidden: boolean;
  readonly favourites: readonly string[];
  readonly setTheme: (theme: Theme) => void;
  readonly toggleAmounts: () => void;
  readonly toggleFavourite: (symbol: string) => void;
}

const STORAGE_KEY = "cryptovault-ui";

export const useUiSettings = create<UiSettings>()((set) => ({
  theme: "system",
  amountsHidden: false,
  favourites: [],
  ...remembered(),
  setTheme: (theme) => set({ theme }),
  toggleAmounts: () => set((state) => ({ amountsHidden: !state.amountsHidden })),
  toggleFavourite: (symbol) =>
    set(({ favourites }) => ({
      favourites: favourites.includes(symbol)
        ? favourites.filter((favourite) => favourite !== symbol)
        : [...favourites, symbol],
    })),
}));

useUiSettings.subscribe(({ theme, amountsHidden, favourites }) => {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify({ theme, amountsHidden, favourites }));
  } catch {
    // No room, or no permission: then it is forgotten with the page.
  }
});

type Remembered = Partial<Pick<UiSettings, "theme" | "amountsHidden" | "favourites">>;

/** What of it can be believed: anybody may have written there. */
export function remembered(): Remembered {
  try {
    const { theme, amountsHidden, favourites } = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Remembered;
    return {
      ...(theme === "light" || theme === "dark" ? { theme } : {}),
      amountsHidden: amountsHidden === true,
      favourites: Array.isArray(favourites) ? favourites.filter((each) => typeof each === "string") : [],
    };
  } catch {
    return {};
  }
}

/** Puts the theme on the page, now and at every change. `system` leaves the choice to the style sheet. */
export function applyTheme(): void {
  putTheme(useUiSettings.getState());
  useUiSettings.subscribe(putTheme);
}

function putTheme({ theme }: UiSettings): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
