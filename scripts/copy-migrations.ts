// The migrations live at the top of the repository, where any tool can apply them; the package ships a copy. Files that
// are the same stay as they are, so that nobody who reads at this moment finds the folder empty.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const source = join(import.meta.dirname, "../migrations");
const copy = join(import.meta.dirname, "../packages/store-pg/migrations");

mkdirSync(copy, { recursive: true });
const wanted = readdirSync(source).filter((name) => name.endsWith(".sql"));
const present = readdirSync(copy);
for (const name of wanted) {
  const same = present.includes(name) && readFileSync(join(copy, name)).equals(readFileSync(join(source, name)));
  if (!same) copyFileSync(join(source, name), join(copy, name));
}
for (const name of present) if (!wanted.includes(name)) rmSync(join(copy, name));
