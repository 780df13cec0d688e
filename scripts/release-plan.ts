// What the pending changesets would release, held against the rule that nobody ends up with two copies of a package of pup.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getReleasePlan } from "@changesets/get-release-plan";
import { satisfies } from "semver";

interface Step {
  readonly from: string;
  readonly to: string;
}

/**
 * Looks for packages that an innocent update would move to a new, incompatible version of another one. A consumer made with one copy of
 * core and run by a worker with another is compared by types that are not the same: so, whatever depends on a package that breaks has to
 * be released as a break itself.
 *
 * @returns a sentence for each such package; empty when all is well
 */
export async function splitReleases(root: string): Promise<readonly string[]> {
  const { releases } = await getReleasePlan(root);
  const steps = new Map<string, Step>();
  for (const { name, oldVersion, newVersion } of releases) {
    if (oldVersion && newVersion) steps.set(name, { from: oldVersion, to: newVersion });
  }
  return dependenciesOf(root).flatMap(({ dependant, dependency }) => {
    const [needed, own] = [steps.get(dependency), steps.get(dependant)];
    if (!needed || !isBreak(needed) || !own || isBreak(own)) return [];
    return [
      `${dependant} would go from ${own.from} to ${own.to}, which nobody expects to break anything, but it would then need ` +
        `${dependency} ${needed.to}. Give it a bump that breaks as well, in the changeset that breaks ${dependency}.`,
    ];
  });
}

function isBreak({ from, to }: Step): boolean {
  return !satisfies(to, `^${from}`);
}

function dependenciesOf(root: string) {
  const folder = join(root, "packages");
  return readdirSync(folder).flatMap((name) => {
    const manifest = JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8")) as {
      readonly name: string;
      readonly dependencies?: Readonly<Record<string, string>>;
    };
    const ours = Object.keys(manifest.dependencies ?? {}).filter((dependency) => dependency.startsWith("@pup/"));
    return ours.map((dependency) => ({ dependant: manifest.name, dependency }));
  });
}
