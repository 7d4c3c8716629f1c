import { Page } from "@/components/layout/Page";
import { ButtonLink } from "@/components/ui/Button";

export default function NotFoundPage() {
  return (
    <Page title="Page not found" headingHidden>
      <div className="mx-auto flex max-w-md flex-col items-center gap-4 py-20 text-center">
        <p aria-hidden="true" className="text-5xl font-bold text-muted">
          404
        </p>
        <p className="text-2xl font-semibold">There is nothing here</p>
        <p className="text-muted">The address may be misspelt, or the page has moved.</p>
        <ButtonLink tone="primary" to="/markets">
          See the markets
        </ButtonLink>
      </div>
    </Page>
  );
}
