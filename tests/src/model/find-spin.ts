import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The programs that check a model. */
export interface Spin {
  readonly spin: string;
  readonly compiler: string;
}

/** How to get them. */
export const howToGetSpin =
  "The model checker Spin and a C compiler are needed: `apt-get install spin gcc` on Debian or Ubuntu, `brew install spin` " +
  "and Xcode's command line tools on macOS.";

/** Where they are; undefined where one of them is not installed. */
export function findSpin(): Spin | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const find = (name: string) => folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const [spin, compiler] = [find("spin"), find("cc")];
  return spin && compiler ? { spin, compiler } : undefined;
}
