import { onlineManager, QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";
import { DataView } from "@/components/DataView";
import { Money } from "@/components/Money";
import { ApiError } from "@/lib/api-error";
import { useUiSettings } from "@/lib/ui-settings";

afterEach(() => {
  cleanup();
  useUiSettings.setState({ amountsHidden: false });
});

function show(ask: () => Promise<string[]>): QueryClient {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const View = () => {
    const query = useQuery({ queryKey: ["things"], queryFn: ask });
    return (
      <DataView query={query} skeleton={<p>on its way</p>} isEmpty={(items) => items.length === 0} empty={<p>none</p>}>
        {(items) => <p>{items.join(", ")}</p>}
      </DataView>
    );
  };
  render(
    <QueryClientProvider client={client}>
      <View />
    </QueryClientProvider>,
  );
  return client;
}

const failure = new ApiError(503, { message: "Not now.", request_id: "request-1" }, new Headers());

test("first a skeleton, then the data", async () => {
  show(() => Promise.resolve(["one", "two"]));
  expect(screen.getByText("on its way")).toBeTruthy();
  expect(await screen.findByText("one, two")).toBeTruthy();
});

test("without a network it says so instead of waiting, and asks when there is one", async () => {
  onlineManager.setOnline(false);
  show(() => Promise.resolve(["at last"]));
  expect(screen.getByText("You are offline.")).toBeTruthy();
  onlineManager.setOnline(true);
  expect(await screen.findByText("at last")).toBeTruthy();
});

test("nothing is said as such", async () => {
  show(() => Promise.resolve([]));
  expect(await screen.findByText("none")).toBeTruthy();
});

test("a failure names the request, and can be tried again", async () => {
  let fails = true;
  show(() => (fails ? Promise.reject(failure) : Promise.resolve(["at last"])));
  expect(await screen.findByText("Not now.")).toBeTruthy();
  expect(screen.getByText("request-1")).toBeTruthy();
  fails = false;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByText("at last")).toBeTruthy();
});

test("old data stays, with the time it is from", async () => {
  let fails = false;
  const client = show(() => (fails ? Promise.reject(failure) : Promise.resolve(["known"])));
  await screen.findByText("known");
  fails = true;
  await client.refetchQueries({ queryKey: ["things"] });
  expect(await screen.findByText(/Not up to date/)).toBeTruthy();
  expect(screen.getByText("known")).toBeTruthy();
});

test("somebody's own amounts can be hidden, public prices not", () => {
  useUiSettings.setState({ amountsHidden: true });
  render(
    <>
      <Money value="12.5" asset="USD" />
      <Money value="99" asset="USD" personal={false} />
    </>,
  );
  expect(screen.queryByText("$12.50")).toBeNull();
  expect(screen.getByText("hidden")).toBeTruthy();
  expect(screen.getByText("$99.00")).toBeTruthy();
});
