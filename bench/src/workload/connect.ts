import postgres, { type Options, type Sql } from "postgres";

/** postgres.js as somebody sets it up who wants it fast: every statement prepared, positions as bigint, no look-up of types. */
export function connect(url: string, max: number) {
  return postgres(url, {
    max,
    fetch_types: false,
    onnotice: () => undefined,
    types: { bigint: postgres.BigInt },
  } satisfies Options<{ bigint: typeof postgres.BigInt }>) as Sql<{ bigint: bigint }>;
}

/** A client as {@link connect} makes it. */
export type Client = ReturnType<typeof connect>;
