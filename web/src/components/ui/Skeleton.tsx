import { classNames } from "@/components/ui/class-names";

/** Holds the place of what is on its way. */
export function Skeleton({ className }: { readonly className?: string }) {
  return <div aria-hidden="true" className={classNames("animate-pulse rounded-md bg-raised", className ?? "h-4")} />;
}

/** As many rows as there will probably be, each as high as a real one. */
export function SkeletonRows({
  rows,
  rowClassName = "h-11",
}: {
  readonly rows: number;
  readonly rowClassName?: string;
}) {
  return (
    <output className="block px-4">
      <span className="sr-only">Loading…</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={classNames("flex items-center", rowClassName)}>
          <Skeleton className="h-4 w-full" />
        </div>
      ))}
    </output>
  );
}
