export { createNotifyDispatcher } from "./notify-dispatcher.ts";
export { type NotifyDispatcherOptions, notifyDispatcherDefaults } from "./options.ts";
export type { ConnectionOptions } from "./server.ts";
