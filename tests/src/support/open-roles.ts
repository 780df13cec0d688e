import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createPgStore, migrate, type PgStore, type PgStoreOptions } from "@pup/store-pg";
import { createDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";

/** The roles that the documentation makes. */
export type RoleName = "pup_owner" | "pup_appender" | "pup_worker";

/** What the documentation's files make of a database, by nobody with a superuser's rights. */
export interface Roles extends AsyncDisposable {
  /** Client of a superuser, who only looks and disturbs. Sees pup's tables and the application's without their schemas. */
  readonly admin: Sql;
  /** How the role is called on this server, which has other tests' roles too. */
  nameOf(role: RoleName): string;
  /** Connection string with which the role logs in. */
  urlOf(role: RoleName): string;
  /** A store whose connections are the role's. Closed with the rest. */
  openStore(role: RoleName, options?: Partial<PgStoreOptions>): PgStore;
  /** A login with the rights of `role`, but not as that role. @returns its connection string */
  addLogin(role: RoleName): Promise<string>;
}

export const SCHEMA = "pup";

const [rolesFile, rightsFile] = ["1-roles.sql", "2-rights.sql"].map(
  (name) => new URL(`../../../docs/roles/${name}`, import.meta.url),
);

/** The rights that the documentation grants, one by one: `INSERT (event_id)`, `SELECT`. */
export function documentedRights(): readonly {
  readonly role: RoleName;
  readonly right: string;
  readonly on: string;
}[] {
  const text = readFileSync(rightsFile as URL, "utf8").replaceAll(/--.*/g, "");
  return [...text.matchAll(/GRANT\s+([^;]+?)\s+ON\s+([^;]+?)\s+TO\s+([^;]+);/g)].flatMap(
    ([, rights = "", on = "", roles = ""]) =>
      splitRights(rights).flatMap((right) =>
        roles.split(/,\s*/).map((role) => ({ role: role.trim() as RoleName, right, on })),
      ),
  );
}

/** `INSERT (a, b)` is as good as `INSERT (a), INSERT (b)`. */
function splitRights(rights: string): string[] {
  const [, privilege, columns] = /^(\w+)\s*\(([^)]+)\)$/.exec(rights) ?? [];
  if (columns === undefined) return rights.split(/,\s*/);
  return columns.split(",").map((column) => `${privilege} (${column.trim()})`);
}

/** Sets a database of the server up as the documentation says. The application has a schema `shop`, of which workers may use all. */
export async function openRoles(serverUrl: string): Promise<Roles> {
  const database = await createDatabase(serverUrl);
  const suffix = randomBytes(6).toString("hex");
  const password = "right-word";
  const installer = `installer_${suffix}`;
  const made: string[] = [];
  const stores: PgStore[] = [];

  const admin = openClient(database.url, `shop, ${SCHEMA}`);
  await admin.unsafe(`
    CREATE ROLE ${installer} LOGIN CREATEROLE PASSWORD '${password}';
    GRANT CREATE ON DATABASE ${database.name} TO ${installer}`);

  const nameOf = (role: RoleName) => `${role}_${suffix}`;
  const urlOfLogin = (name: string) => Object.assign(new URL(database.url), { username: name, password }).href;
  const urlOf = (role: RoleName) => urlOfLogin(nameOf(role));

  async function apply(file: URL | undefined, url: string): Promise<void> {
    const text = readFileSync(file as URL, "utf8");
    const ours = text.replaceAll(/\bpup_(owner|appender|worker)\b/g, (role) => nameOf(role as RoleName));
    const sql = openClient(url);
    await sql.unsafe(ours.replaceAll("change-me", password));
    await sql.end();
  }

  await apply(rolesFile, urlOfLogin(installer));
  await migrate({ connection: urlOf("pup_owner"), schema: SCHEMA });
  await apply(rightsFile, urlOf("pup_owner"));
  await admin.unsafe(`
    CREATE SCHEMA shop;
    GRANT USAGE ON SCHEMA shop TO ${nameOf("pup_worker")}`);

  return {
    admin,
    nameOf,
    urlOf,
    openStore(role, options) {
      const connection = { url: urlOf(role), connection: { search_path: "shop" } };
      const store = createPgStore({ connection, schema: SCHEMA, ...options });
      stores.push(store);
      return store;
    },
    async addLogin(role) {
      const name = `${role}_${made.length}_${suffix}`;
      await admin.unsafe(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'; GRANT ${nameOf(role)} TO ${name}`);
      made.push(name);
      return urlOfLogin(name);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(stores.map((store) => store.close()));
      const roles = [...made, ...(["pup_worker", "pup_appender", "pup_owner"] as const).map(nameOf), installer];
      await admin.unsafe(`DROP OWNED BY ${roles.join(", ")} CASCADE; DROP ROLE ${roles.join(", ")}`);
      await admin.end();
      await database.drop();
    },
  };
}

function openClient(url: string, searchPath = "public"): Sql {
  return postgres(url, {
    max: 4,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { search_path: searchPath, application_name: "test" },
  });
}
