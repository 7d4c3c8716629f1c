import { useId, type ComponentProps, type ReactNode } from "react";
import { classNames } from "@/components/ui/class-names";

interface FieldProps extends ComponentProps<"input"> {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly error?: string | undefined;
  /** Shown inside, behind the text: a unit, such as USD. */
  readonly suffix?: ReactNode;
}

/** A labelled input. Its error is announced, and tied to it. */
export function Field({ label, hint, error, suffix, className, id, ...rest }: FieldProps) {
  const ownId = useId();
  const inputId = id ?? ownId;
  const hintId = `${inputId}-hint`;
  const errorId = `${inputId}-error`;
  const described = classNames(hint !== undefined && hintId, error !== undefined && errorId);
  return (
    <div className={className}>
      <label htmlFor={inputId} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      <div className="relative">
        <input
          id={inputId}
          aria-invalid={error !== undefined}
          aria-describedby={described || undefined}
          className={classNames(
            "block min-h-11 w-full rounded-lg border bg-surface px-3 text-base text-text placeholder:text-muted sm:text-sm",
            error === undefined ? "border-control-line" : "border-down",
            suffix !== undefined && "pr-16",
          )}
          {...rest}
        />
        {suffix !== undefined && (
          <span className="pointer-events-none absolute inset-y-0 right-3 flex items-center text-sm text-muted">
            {suffix}
          </span>
        )}
      </div>
      {hint !== undefined && (
        <p id={hintId} className="mt-1 text-sm text-muted">
          {hint}
        </p>
      )}
      <p id={errorId} aria-live="polite" className="text-sm text-down">
        {error !== undefined && <span className="mt-1 block">{error}</span>}
      </p>
    </div>
  );
}
