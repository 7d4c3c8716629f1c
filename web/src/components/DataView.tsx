import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ErrorNotice, WarningBar } from "@/components/ui/Notice";
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
    return error === null ? skeleton : <ErrorNotice error={error} onRetry={() => void query.refetch()} />;
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
