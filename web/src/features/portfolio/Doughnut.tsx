import type { Share } from "@/features/portfolio/shares";
import { toPixels } from "@/lib/decimal";
import { formatPercent } from "@/lib/format";

const RADIUS = 40;
const AROUND = 2 * Math.PI * RADIUS;
const GAP = 1.5;

/** The shares as a ring, named beside it; the table says the same in figures. */
export function Doughnut({ shares }: { readonly shares: readonly Share[] }) {
  const summary = shares.map(({ name, percent }) => `${name} ${formatPercent(percent)}`).join(", ");
  return (
    <div className="flex flex-wrap items-center justify-center gap-6">
      <svg viewBox="0 0 100 100" className="size-40 -rotate-90" role="img" aria-label={`Allocation: ${summary}`}>
        {arcsOf(shares).map(({ share, length, offset }) => (
          <circle
            key={share.name}
            cx="50"
            cy="50"
            r={RADIUS}
            fill="none"
            strokeWidth="16"
            strokeDasharray={`${length} ${AROUND - length}`}
            strokeDashoffset={-offset}
            style={{ stroke: share.colour }}
          />
        ))}
      </svg>
      <ul aria-hidden="true" className="space-y-1.5 text-sm">
        {shares.map(({ name, percent, colour }) => (
          <li key={name} className="flex items-center gap-2">
            <span className="size-3 rounded-sm" style={{ background: colour }} />
            <span className="min-w-16 font-medium">{name}</span>
            <span className="figures text-muted">{formatPercent(percent)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Arc {
  readonly share: Share;
  readonly length: number;
  readonly offset: number;
}

function arcsOf(shares: readonly Share[]): readonly Arc[] {
  let offset = 0;
  return shares.map((share) => {
    const whole = (toPixels(share.percent) / 100) * AROUND;
    const arc = { share, length: shares.length === 1 ? AROUND : Math.max(whole - GAP, 0.5), offset };
    offset += whole;
    return arc;
  });
}
