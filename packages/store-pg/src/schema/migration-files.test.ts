import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { migrationNames, nameTables, readMigrations } from "./migration-files.ts";
import { defaultTableNames, resolveTables } from "./tables.ts";

describe("The migrations", () => {
  it("are the files in the folder, numbered from 1 without holes", async () => {
    const files = await readdir(new URL("../../../../migrations/", import.meta.url));

    expect(files.filter((file) => file.endsWith(".sql")).sort()).toEqual(migrationNames.map((name) => `${name}.sql`));
    for (const [index, name] of migrationNames.entries()) expect(Number(name.slice(0, 4))).toBe(index + 1);
  });

  it("record themselves under their version and name", async () => {
    for (const { version, name, text } of await readMigrations()) {
      expect(text).toContain(`INSERT INTO "pup_migrations" (version, name) VALUES (${version}, '${name}')`);
    }
  });

  it("open with what they do, what old workers do meanwhile, and what they lock", async () => {
    for (const { text } of await readMigrations()) {
      for (const subject of ["-- Does: ", "-- Old workers: ", "-- Locks: "]) expect(text).toContain(subject);
    }
  });

  it("quote every table of pup's wherever it stands, and nothing else", async () => {
    const names = Object.values(defaultTableNames);
    for (const { text } of await readMigrations()) {
      const code = text.replaceAll(/--.*$/gm, "");
      for (const [, quoted] of code.matchAll(/"([^"]*)"/g)) expect(names).toContain(quoted);
      for (const name of names) expect(code.replaceAll(`"${name}"`, "").match(new RegExp(`\\b${name}\\b`))).toBeNull();
    }
  });
});

describe("nameTables", () => {
  it("puts schema and names in the place of the defaults", () => {
    const tables = resolveTables({ schema: "s", tables: { events: 'my $& "events"' } });

    expect(nameTables('CREATE INDEX ON "events" (a); INSERT INTO "worker_nodes"', tables)).toBe(
      'CREATE INDEX ON "s"."my $& ""events""" (a); INSERT INTO "s"."worker_nodes"',
    );
  });

  it("leaves other quoted names alone", () => {
    expect(nameTables('COLLATE "C"', resolveTables({}))).toBe('COLLATE "C"');
  });
});
