/** Whose code we wait for. Kept for this tab only: the address belongs neither in a URL nor on disk. */
const KEY = "cryptovault-pending-email";

export function rememberPendingEmail(email: string): void {
  sessionStorage.setItem(KEY, email);
}

export function pendingEmail(): string | null {
  return sessionStorage.getItem(KEY);
}

export function forgetPendingEmail(): void {
  sessionStorage.removeItem(KEY);
}
