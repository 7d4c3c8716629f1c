import { Icon } from "@/components/layout/icons";

export function EyeIcon({ open }: { readonly open: boolean }) {
  return (
    <Icon>
      <path d="M2 12s3.6-7 10-7 10 7 10 7-3.6 7-10 7S2 12 2 12Z" />
      <circle cx="12" cy="12" r="3" />
      {!open && <path d="m4 4 16 16" />}
    </Icon>
  );
}
