// Starts a server and waits to be killed: a program that never gets to clean up.
import { startLocalServer } from "./local-server.ts";

const server = await startLocalServer({ version: undefined, port: undefined, settings: {} });
process.stdout.write(`${JSON.stringify({ pid: server.pid, url: server.url })}\n`);
setInterval(() => {}, 60_000);
