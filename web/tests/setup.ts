import { afterEach } from "vitest";

// Money is shown in the reader's locale; the tests read English.
const NumberFormat = Intl.NumberFormat;
Intl.NumberFormat = class extends NumberFormat {
  constructor(_locales?: Intl.LocalesArgument, options?: Intl.NumberFormatOptions) {
    super("en-US", options);
  }
} as typeof Intl.NumberFormat;

afterEach(() => {
  localStorage.clear();
  sessionStorage.clear();
  document.body.replaceChildren();
});
