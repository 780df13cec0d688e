// A real registry on loopback: what is published to it stays in a folder of its own, the rest comes from npm.
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** A registry that runs. */
export interface Registry {
  readonly url: string;
  /** For `.npmrc`: where packages come from and go to, with a token that the registry takes for anybody's. */
  readonly npmrc: string;
  close(): Promise<void>;
}

interface Server {
  listen(port: number, host: string, listening: () => void): this;
  address(): AddressInfo;
  closeAllConnections(): void;
  close(closed: () => void): void;
}

/**
 * Starts a registry that keeps what is published in `folder`.
 *
 * @param upstream - where packages come from that are not ours
 */
export async function startRegistry(tools: string, folder: string, upstream: string): Promise<Registry> {
  const { runServer } = createRequire(join(tools, "package.json"))("verdaccio") as {
    runServer(config: object): Promise<Server>;
  };
  const server = await runServer({
    self_path: folder,
    storage: join(folder, "storage"),
    uplinks: { npmjs: { url: upstream, maxage: "60m" } },
    packages: {
      "@pup/*": { access: "$all", publish: "$anonymous" },
      "**": { access: "$all", proxy: "npmjs" },
    },
    log: { type: "stdout", format: "pretty", level: "fatal" },
    web: { enable: false },
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const host = `127.0.0.1:${server.address().port}`;
  return {
    url: `http://${host}/`,
    npmrc: `registry=http://${host}/\n//${host}/:_authToken=anybody\n`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(closed));
    },
  };
}
