import "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** The server of this test run: `inject("postgresUrl")`, for `createDatabase`. */
    postgresUrl: string;
  }
}
