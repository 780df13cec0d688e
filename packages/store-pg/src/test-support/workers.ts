/** Ids of workers, for tests in which one meets another. */
export const workerA = "aaaaaaaa-0000-4000-8000-000000000001";
export const workerB = "bbbbbbbb-0000-4000-8000-000000000002";
export const workerC = "cccccccc-0000-4000-8000-000000000003";
