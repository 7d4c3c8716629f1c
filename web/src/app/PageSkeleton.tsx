import { Skeleton } from "@/components/ui/Skeleton";

export function PageSkeleton() {
  return (
    <output className="block min-h-[70vh] space-y-4 py-8">
      <span className="sr-only">Loading…</span>
      <Skeleton className="h-8 w-48" />
      <Skeleton className="h-64 w-full" />
    </output>
  );
}
