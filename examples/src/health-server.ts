// What probes and people ask a worker: /healthz (is the process worth keeping?) and /readyz (is all well?), with the reasons as JSON.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { stringifyHealth, type Worker } from "@pup/coordinator";

/** What {@link startHealthServer} needs. */
export interface HealthServerOptions {
  readonly worker: Pick<Worker, "health">;
  /** 0 for any that is free. @defaultValue `8080` */
  readonly port?: number;
  /**
   * Where it listens. Answers name consumers and what their handlers threw: open it no further than to who probes, `"0.0.0.0"` in a
   * container whose port is not published.
   *
   * @defaultValue `"127.0.0.1"`
   */
  readonly host?: string;
}

/** Starts the server. Close it when the worker has stopped: until then, draining is worth watching. */
export async function startHealthServer(options: HealthServerOptions): Promise<Server> {
  const { worker, port = 8080, host = "127.0.0.1" } = options;
  const server = createServer((request, response) => {
    const health = worker.health();
    const answers = new Map([
      ["/healthz", health.live],
      ["/readyz", health.ready],
    ]);
    const isWell = answers.get(request.url ?? "");
    if (isWell === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(isWell ? 200 : 503, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(`${stringifyHealth(health, 2)}\n`);
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}
