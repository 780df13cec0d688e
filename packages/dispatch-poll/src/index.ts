export { createPollDispatcher, type PollDispatcherOptions, pollDispatcherDefaults } from "./poll-dispatcher.ts";
