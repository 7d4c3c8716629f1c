import { Icon } from "@/components/layout/icons";

export function StarIcon({ filled }: { readonly filled: boolean }) {
  return (
    <Icon>
      <path
        d="m12 3 2.7 5.8 6.3.8-4.6 4.4 1.2 6.2L12 17.1l-5.6 3.1 1.2-6.2L3 9.6l6.3-.8Z"
        fill={filled ? "currentColor" : "none"}
      />
    </Icon>
  );
}
