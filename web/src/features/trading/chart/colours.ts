import { useUiSettings } from "@/lib/ui-settings";

const TOKENS = ["--text", "--muted", "--line", "--surface", "--up", "--down", "--accent"] as const;

export type ChartColours = Record<(typeof TOKENS)[number], string>;

/** The tokens as colours that a canvas understands, in the theme of this moment. */
export function readColours(): ChartColours {
  const probe = document.createElement("span");
  document.body.append(probe);
  const colours = Object.fromEntries(
    TOKENS.map((token) => {
      probe.style.color = `var(${token})`;
      return [token, getComputedStyle(probe).color];
    }),
  );
  probe.remove();
  return colours as ChartColours;
}

/** Called when the page turns light or dark. */
export function onThemeChange(listener: () => void): () => void {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", listener);
  const leave = useUiSettings.subscribe(listener);
  return () => {
    dark.removeEventListener("change", listener);
    leave();
  };
}
