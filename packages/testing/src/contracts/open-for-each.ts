import { afterEach, beforeEach } from "vitest";

/** Opens a setup before each test and disposes of it afterwards. Returns how to get at it inside of a test. */
export function openForEach<Setup extends { dispose(): Promise<void> }>(open: () => Promise<Setup>): () => Setup {
  let setup: Setup | null = null;

  beforeEach(async () => {
    setup = await open();
  });
  afterEach(async () => {
    await setup?.dispose();
    setup = null;
  });

  return () => {
    if (setup === null) throw new Error("Expected the setup to be used inside of a test.");
    return setup;
  };
}
