import { Page } from "@/components/layout/Page";

export default function PortfolioPage() {
  return <Page title="Portfolio">{null}</Page>;
}
