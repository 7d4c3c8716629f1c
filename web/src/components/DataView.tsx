import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { EmptyNotice, ErrorNotice, WarningBar } from "@/components/ui/Notice";
import { formatTime } from "@/lib/format";

interface DataViewProps<Data> {
  readonly query: UseQueryResult<Data>;
  /** As high as what it stands for. */
  readonly skeleton: ReactNode;
  readonly isEmpty?: (data: Data) => boolean;
  readonly empty?: ReactNode;
  readonly children: (data: Data) => ReactNode;
}

/** The four states of whatever comes from the server: on its way, empty, failed, and old because an update failed. */
export function DataView<Data>({ query, skeleton, isEmpty, empty, children }: DataViewProps<Data>) {
  const { data, error } = query;
  if (data === undefined) {
    if (error !== null) return <ErrorNotice error={error} onRetry={() => void query.refetch()} />;
    // Asked for as soon as there is a network again.
    return query.fetchStatus === "paused" ? <EmptyNotice title="You are offline." /> : skeleton;
  }
  return (
    <>
      {error !== null && (
        <WarningBar>
          Not up to date: this is from {formatTime(query.dataUpdatedAt)}.{" "}
          <button type="button" className="font-semibold underline" onClick={() => void query.refetch()}>
            Update
          </button>
        </WarningBar>
      )}
      {isEmpty?.(data) === true ? empty : children(data)}
    </>
  );
}
