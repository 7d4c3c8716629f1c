import { lazy, type ComponentType, type LazyExoticComponent } from "react";

const RELOADED = "cryptovault-reloaded-at";
const AGAIN_AFTER_MS = 60_000;

/**
 * A page in a file of its own. After a new release the file of an open page's neighbour may be gone: the page is then
 * loaded anew, once; if that does not help, the error goes to the boundary.
 */
export function lazyPage(load: () => Promise<{ default: ComponentType }>): LazyExoticComponent<ComponentType> {
  return lazy(async () => {
    try {
      return await load();
    } catch (error) {
      const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
      if (!navigator.onLine || Date.now() - last < AGAIN_AFTER_MS) throw error;
      sessionStorage.setItem(RELOADED, String(Date.now()));
      window.location.reload();
      // The page is on its way out.
      return new Promise<never>(() => undefined);
    }
  });
}
