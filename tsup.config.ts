import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";

interface Manifest {
  readonly exports: Record<string, string | { readonly "@pup/source": string }>;
}

// Shared by all packages, each of which runs tsup in its own folder. What a package exports is written once, in its
// package.json: every source named there becomes an entry.
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const entry = Object.values(manifest.exports).flatMap((target) =>
  typeof target === "string" ? [] : [target["@pup/source"]],
);

export default defineConfig({
  entry,
  format: "esm",
  target: "node22",
  dts: true,
  sourcemap: true,
  clean: true,
  silent: true,
});
