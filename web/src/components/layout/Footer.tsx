import { ThemeSelect } from "@/components/layout/ThemeSelect";

export default function Footer() {
  return (
    <footer className="border-t border-line">
      <div className="mx-auto flex max-w-[100rem] flex-wrap items-center justify-between gap-3 px-4 py-3 text-sm text-muted">
        <p>
          Open source, Apache-2.0 ·{" "}
          <a href="/docs" className="underline hover:text-text">
            API
          </a>
        </p>
        <ThemeSelect />
      </div>
    </footer>
  );
}
