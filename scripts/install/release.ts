// Releases the packages as a maintainer does, with the commands of changesets, out of a copy of the working tree.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Place, run } from "./commands.ts";

/** Versions by name of package. */
export type Versions = Readonly<Record<string, string>>;

/** A copy of the repository, to be released from. */
export interface ReleaseCopy {
  readonly folder: string;
  /** What the packages are at now. */
  versions(): Promise<Versions>;
  /** Adds a changeset, as `pnpm changeset` writes it. */
  addChangeset(name: string, bumps: Readonly<Record<string, "major" | "minor" | "patch">>): Promise<void>;
  /** What the workflow runs: `npm run changeset -- version`, then `npm run release`. */
  release(): Promise<Versions>;
}

/** Copies what git knows and what it does not ignore, and makes a repository of it. */
export async function copyForRelease(root: string, { folder, env }: Place, npmrc: string): Promise<ReleaseCopy> {
  const listed = await run(
    { folder: root, env },
    "git",
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
  );
  for (const file of listed.split("\0").filter(Boolean)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await copyFile(join(root, file), join(folder, file));
  }
  const { packageManager } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    packageManager: string;
  };
  const place = { folder, env };
  const pnpm = (...args: string[]) => run(place, "npx", "-y", packageManager, ...args);
  await pnpm("install", "--frozen-lockfile", "--prefer-offline");
  // From here on everything goes to the registry under test.
  await writeFile(join(folder, ".npmrc"), npmrc);
  await run(place, "git", "init", "--quiet", "--initial-branch=main");
  await commit("Take the working tree as it is");

  async function commit(message: string): Promise<void> {
    await run(place, "git", "add", "--all");
    const author = ["-c", "user.name=release", "-c", "user.email=release@localhost"];
    await run(place, "git", ...author, "commit", "--quiet", "--message", message);
  }

  async function versions(): Promise<Versions> {
    const listedPackages = await pnpm("list", "--recursive", "--depth=-1", "--json", "--filter=./packages/*");
    const packages = JSON.parse(listedPackages) as readonly { readonly name: string; readonly version: string }[];
    return Object.fromEntries(packages.map(({ name, version }) => [name, version]));
  }

  return {
    folder,
    versions,
    async addChangeset(name, bumps) {
      const lines = Object.entries(bumps).map(([changed, bump]) => `"${changed}": ${bump}`);
      await writeFile(join(folder, `.changeset/${name}.md`), `---\n${lines.join("\n")}\n---\n\nChanged for a test.\n`);
    },
    async release() {
      await run(place, "npm", "run", "changeset", "--", "version");
      await commit("Version packages");
      await run(place, "npm", "run", "release", "--", "--no-git-tag");
      return versions();
    },
  };
}
