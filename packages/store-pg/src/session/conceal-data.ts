import { isServerError } from "./connection-error.ts";

/** What drivers add to errors: the values that were sent. */
const SENT = ["parameters", "args"];
/** What the server says about its way to the error: it may quote statements and values. */
const CONTEXT = ["where", "internal_query", "internalQuery"];

/** States whose messages are about values: data_exception, integrity_constraint_violation, with_check_option_violation. */
const ABOUT_DATA = /^(22|23|44)/;
/** Among them, those that quote a value in their first sentence; the others quote names there. */
const QUOTES_DATA = /^22/;
/** From the first quotation mark to the last, as the languages of the server write them. */
const QUOTED = /["„“”«»].*["„“”«»]/s;
/** `Key (a, b)=(1, 2) already exists.` */
const KEY = /^([^=]*?\))=\(.*\)([^)]*)$/s;
/** The lines of a context that name nothing but a place in somebody's function. */
const PLACE = /^(PL\/pgSQL|SQL) function [^"]*$/;

/**
 * Makes an error fit to be logged: without the data that its statement worked with. What is the data's, postgres.js and the
 * server would tell at several places; what names tables, columns, constraints and the statement's text stays.
 *
 * @returns the same error when there is nothing to take out; else another one like it
 */
export function concealData(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const changes = isServerError(error) ? concealedFields(error as ServerError) : concealedMessage(error);
  for (const name of SENT) if (name in error) changes.set(name, undefined);
  return changes.size === 0 ? error : copyWith(error, changes);
}

interface ServerError extends Error {
  readonly code: string;
  readonly detail?: unknown;
  readonly where?: unknown;
}

/** Fields to be changed; undefined where one is to be left out. */
type Changes = Map<string, string | undefined>;

function concealedFields(error: ServerError): Changes {
  const { code, message, detail, where } = error;
  const changes: Changes = new Map();
  for (const name of CONTEXT) if (name in error) changes.set(name, undefined);
  if (typeof where === "string") {
    const places = where.split("\n").filter((line) => PLACE.test(line));
    if (places.length > 0) changes.set("where", places.join("\n"));
  }
  if (ABOUT_DATA.test(code) && typeof detail === "string") {
    const [, columns, outcome] = KEY.exec(detail) ?? [];
    changes.set("detail", columns === undefined ? undefined : `${columns}=(…)${outcome}`);
  }
  if (QUOTES_DATA.test(code) && QUOTED.test(message)) changes.set("message", message.replace(QUOTED, '"…"'));
  return changes;
}

/** Node tells what it got instead of a text: the value, when it is a number or something as short. */
function concealedMessage({ message, code }: Error & { readonly code?: unknown }): Changes {
  const [before, received] = message.split(" Received ", 2);
  if (code !== "ERR_INVALID_ARG_TYPE" || received === undefined) return new Map();
  return new Map([["message", before]]);
}

/** What postgres.js has added to an error cannot be deleted. */
function copyWith(error: Error, changes: Changes): Error {
  const message = changes.get("message") ?? error.message;
  const copy = new Error(message);
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  const fields = Object.entries(Object.getOwnPropertyDescriptors(error)).filter(([name]) => name !== "message");
  for (const [name, field] of fields) {
    const isChanged = changes.has(name);
    const value = isChanged ? changes.get(name) : field.value;
    if (!isChanged || value !== undefined)
      Object.defineProperty(copy, name, { ...field, ...("value" in field && { value }) });
  }
  const stack = error.stack?.replace(error.message, () => message);
  Object.defineProperty(copy, "stack", { value: stack, configurable: true, writable: true, enumerable: false });
  return copy;
}
