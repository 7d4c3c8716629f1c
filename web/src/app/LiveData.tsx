import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { stream } from "@/lib/live";
import { followPrices, followPrivate } from "@/lib/live-cache";
import { priceHistory } from "@/lib/price-history";
import { keys, meQuery, PRIVATE, useMe } from "@/lib/queries";
import { onSessionNews } from "@/lib/session";

/** Keeps the cache live for as long as the page is open. Draws nothing. */
export default function LiveData() {
  const client = useQueryClient();
  const me = useMe();
  const userId = me.data?.id ?? null;
  // The socket is opened in somebody's name: not before we know in whose.
  const known = !me.isPending;

  useEffect(() => followPrices(stream, client, priceHistory), [client]);

  useEffect(() => {
    if (!known) return undefined;
    stream.reconnect();
    const leave = userId === null ? undefined : followPrivate(stream, client);
    return () => {
      leave?.();
      client.removeQueries({ queryKey: PRIVATE });
    };
  }, [client, known, userId]);

  useEffect(
    () =>
      onSessionNews((news) => {
        if (news === "signed-out") client.setQueryData(keys.me, null);
        else void client.invalidateQueries(meQuery);
      }),
    [client],
  );

  useEffect(() => {
    const comeBack = () => {
      if (document.visibilityState === "visible" && !stream.status.open) stream.reconnect();
    };
    window.addEventListener("online", comeBack);
    document.addEventListener("visibilitychange", comeBack);
    return () => {
      window.removeEventListener("online", comeBack);
      document.removeEventListener("visibilitychange", comeBack);
    };
  }, []);

  return null;
}
