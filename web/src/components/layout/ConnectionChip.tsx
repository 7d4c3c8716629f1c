import { useEffect, useState, useSyncExternalStore } from "react";
import { classNames } from "@/components/ui/class-names";
import { connectionOf, type Connection } from "@/lib/connection";
import { stream } from "@/lib/live";

const LOOK_MS = 250;

/** How live what you see is. */
export default function ConnectionChip() {
  const connection = useConnection();
  const { text, dot } = looks(connection);
  return (
    <span
      role="status"
      className="inline-flex items-center gap-2 rounded-full border border-line px-2.5 py-1 text-xs font-medium whitespace-nowrap"
    >
      <span aria-hidden="true" className={classNames("size-2", dot)} />
      {text}
    </span>
  );
}

function looks(connection: Connection): { text: string; dot: string } {
  if (connection.kind === "live") return { text: "Live", dot: "rounded-full bg-up" };
  if (connection.kind === "offline") return { text: "Offline", dot: "rounded-none bg-down" };
  return { text: `Delayed ${connection.seconds} s`, dot: "rounded-none rotate-45 bg-warn" };
}

function useConnection(): Connection {
  const online = useSyncExternalStore(onOnline, () => navigator.onLine);
  const [connection, setConnection] = useState<Connection>(() => connectionOf(stream.status, Date.now(), online));
  useEffect(() => {
    // Looked at four times a second, not at every message: those come in their dozens, and the chip seldom changes.
    const look = () => setConnection((last) => unlessEqual(last, connectionOf(stream.status, Date.now(), online)));
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [online]);
  return connection;
}

function unlessEqual(last: Connection, next: Connection): Connection {
  const same =
    last.kind === next.kind && (last.kind !== "delayed" || next.kind !== "delayed" || last.seconds === next.seconds);
  return same ? last : next;
}

function onOnline(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}
