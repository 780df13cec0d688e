import { InvalidOptionError } from "@pup/core";
import { checkIdentifier, qualify } from "./identifier.ts";

/** Names of pup's tables. Any name that PostgreSQL takes, dots and capitals included: they are always quoted. */
export interface TableNames {
  /** The event log. @defaultValue `"events"` */
  readonly events: string;
  /** Version of each aggregate. @defaultValue `"aggregate_heads"` */
  readonly aggregateHeads: string;
  /** How far each consumer has come. @defaultValue `"consumer_checkpoints"` */
  readonly consumerCheckpoints: string;
  /** Workers that are there. @defaultValue `"worker_nodes"` */
  readonly workerNodes: string;
  /** Which worker runs which consumer. @defaultValue `"consumer_assignments"` */
  readonly consumerAssignments: string;
  /** Who leads. @defaultValue `"leader_lease"` */
  readonly leaderLease: string;
  /** Events that a consumer went on without. @defaultValue `"consumer_dead_letters"` */
  readonly consumerDeadLetters: string;
  /** Migrations that were applied. @defaultValue `"pup_migrations"` */
  readonly pupMigrations: string;
}

/** The names in the migrations as they are shipped. */
export const defaultTableNames: TableNames = {
  events: "events",
  aggregateHeads: "aggregate_heads",
  consumerCheckpoints: "consumer_checkpoints",
  workerNodes: "worker_nodes",
  consumerAssignments: "consumer_assignments",
  leaderLease: "leader_lease",
  consumerDeadLetters: "consumer_dead_letters",
  pupMigrations: "pup_migrations",
};

/** Which tables a store works with. */
export interface SchemaOptions {
  /** Schema that holds the tables. @defaultValue `"public"` */
  readonly schema?: string | undefined;
  /** Names that differ from the default ones. */
  readonly tables?: Partial<TableNames> | undefined;
}

/** Checked names, and the tables as they stand in SQL: quoted, with their schema. */
export interface Tables extends TableNames {
  readonly schema: string;
  readonly names: TableNames;
}

const keys = Object.keys(defaultTableNames) as (keyof TableNames)[];

/**
 * Checks the names and quotes them.
 *
 * @throws {@link InvalidIdentifierError} when PostgreSQL cannot keep a name as it is
 * @throws {@link InvalidOptionError} when two tables have one name, or a table is named that pup does not have
 */
export function resolveTables({ schema = "public", tables = {} }: SchemaOptions): Tables {
  checkIdentifier("schema", schema);
  for (const key of Object.keys(tables)) {
    if (!keys.includes(key as keyof TableNames)) {
      throw new InvalidOptionError(`Expected \`tables\` to name some of ${keys.join(", ")}, got ${key}.`);
    }
  }
  const names = mapTables((key) => checkIdentifier(`tables.${key}`, tables[key] ?? defaultTableNames[key]));
  const twice = keys.find((key) => keys.some((other) => other !== key && names[other] === names[key]));
  if (twice) {
    throw new InvalidOptionError(
      `Expected every table to have a name of its own, but two are called ${JSON.stringify(names[twice])}.`,
    );
  }
  return { ...mapTables((key) => qualify(schema, names[key])), schema, names };
}

function mapTables(nameOf: (key: keyof TableNames) => string): TableNames {
  return Object.fromEntries(keys.map((key) => [key, nameOf(key)])) as unknown as TableNames;
}
