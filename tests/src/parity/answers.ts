import { isPupError } from "@pup/core";

/** The work of a held transaction was told to roll back. */
export class RollBack extends Error {
  override readonly name = "RollBack";
}

/** What is told of an error beside its code, where it has it. */
const ERROR_FACTS = [
  "actual",
  "expected",
  "aggregateType",
  "aggregateId",
  "eventIds",
  "eventIndex",
  "path",
  "consumer",
];

/** Codes of PostgreSQL for what breaks a transaction, and for what is asked of it afterwards. */
const BROKEN_TRANSACTION = new Set(["23505", "25P02"]);

const POOLED_ID = /^10000000-/;

/**
 * What can be compared of an answer: everything but the ids that a store makes and what its clock says, of which only remains
 * that they are there.
 */
export function comparable(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(comparable);
  if (answer instanceof Date) return "a time";
  if (typeof answer !== "object" || answer === null) return answer;
  return Object.fromEntries(
    Object.entries(answer).map(([key, value]) => {
      // As they came, dates and all.
      if (key === "payload" || key === "metadata") return [key, value];
      if (key === "id" && typeof value === "string" && !POOLED_ID.test(value)) return [key, "a new id"];
      return [key, comparable(value)];
    }),
  );
}

/** What can be compared of an error. */
export function comparableError(error: unknown, isTransient: (error: unknown) => boolean): unknown {
  if (error instanceof RollBack) return { error: "rolled back" };
  if (isTransient(error)) return { error: "transient" };
  if (BROKEN_TRANSACTION.has((error as { code?: string }).code ?? "")) return { error: "the transaction is broken" };
  if (!isPupError(error)) return { error: (error as Error).name, message: (error as Error).message };
  const facts = ERROR_FACTS.flatMap((name) =>
    name in error ? [[name, (error as unknown as Record<string, unknown>)[name]]] : [],
  );
  return { error: error.code, ...Object.fromEntries(facts) };
}
