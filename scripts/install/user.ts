// Somebody who installs pup with npm, into an empty folder, from an empty cache.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Place, run } from "./commands.ts";

/** A folder with things installed in it. */
export interface User {
  readonly folder: string;
  /** Every package in `node_modules`, sorted; platform packages count as what they are. */
  installed(): Promise<readonly string[]>;
  /** Type-checks a program with nothing skipped, and compiles it. @returns the compiled file */
  compile(source: string, resolution: Resolution): Promise<string>;
  /** Runs a script to its end. @returns what it printed */
  run(node: string, ...args: readonly string[]): Promise<string>;
  /** Runs a program that ends on SIGTERM, and sends it once it has printed `until`. @throws Error when it ends otherwise */
  runUntil(node: string, file: string, until: string, env: NodeJS.ProcessEnv): Promise<void>;
}

/** How the user's TypeScript finds packages. */
export type Resolution = "NodeNext" | "Bundler";

const LIMIT_MS = 60_000;

/** Installs `packages` into the folder. */
export async function installAs({ folder, env }: Place, npmrc: string, packages: readonly string[]): Promise<User> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, ".npmrc"), npmrc);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  const place = { folder, env: { ...env, npm_config_cache: join(folder, ".cache"), npm_config_audit: "false" } };
  await run(place, "npm", "install", "--no-fund", ...packages);

  return {
    folder,

    async installed() {
      const modules = join(folder, "node_modules");
      const names = (await readdir(modules)).filter((name) => !name.startsWith("."));
      const all = await Promise.all(
        names.map(async (name) =>
          name.startsWith("@") ? (await readdir(join(modules, name))).map((inner) => `${name}/${inner}`) : [name],
        ),
      );
      return all.flat().sort();
    },

    async compile(source, resolution) {
      const name = basename(source);
      await copyFile(source, join(folder, name));
      const outDir = `out-${resolution.toLowerCase()}`;
      const config = {
        compilerOptions: {
          target: "es2023",
          lib: ["es2024", "esnext.disposable"],
          types: ["node"],
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          module: resolution === "Bundler" ? "esnext" : "nodenext",
          moduleResolution: resolution.toLowerCase(),
          outDir,
        },
        files: [name],
      };
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
      await run(place, "npx", "--no", "tsc");
      return join(folder, outDir, name.replace(/\.ts$/, ".js"));
    },

    run: (node, ...args) => run(place, node, ...args),

    async runUntil(node, file, until, more) {
      const child = spawn(node, [file], { cwd: folder, env: { ...env, ...more } });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text;
          if (said.includes(until)) child.kill("SIGTERM");
        });
      }
      const tooLong = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
      const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
      clearTimeout(tooLong);
      if (code !== 0 || !said.includes(until)) {
        throw new Error(`${file} ended with ${signal ?? code} under ${node}, having said:\n${said}`);
      }
    },
  };
}
