import { useUiSettings, type Theme } from "@/lib/ui-settings";

const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "System" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

export function ThemeSelect() {
  const theme = useUiSettings((settings) => settings.theme);
  const setTheme = useUiSettings((settings) => settings.setTheme);
  return (
    <label className="flex items-center gap-2">
      Theme
      <select
        value={theme}
        onChange={(event) => {
          const chosen = THEMES.find(({ value }) => value === event.target.value);
          if (chosen !== undefined) setTheme(chosen.value);
        }}
        className="min-h-9 rounded-lg border border-control-line bg-surface px-2 text-text"
      >
        {THEMES.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
