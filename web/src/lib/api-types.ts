/** Short names for what the API sends; the shapes are generated from its own description. */
import type { components } from "@/api/schema";

type Schemas = components["schemas"];

export type Balance = Schemas["Balance"];
export type Book = Schemas["Book"];
export type ErrorFacts = Schemas["ErrorFacts"];
export type Fill = Schemas["Fill"];
export type Holding = Schemas["Holding"];
export type Market = Schemas["Market"];
export type Order = Schemas["Order"];
export type OrderPage = Schemas["OrderPage"];
export type PlaceOrder = Schemas["PlaceOrder"];
export type PlacedOrder = Schemas["PlacedOrder"];
export type Portfolio = Schemas["Portfolio"];
export type Price = Schemas["Price"];
export type SignedIn = Schemas["SignedIn"];
export type User = Schemas["User"];
