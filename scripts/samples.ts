// Type-checks every TypeScript sample of the pages and of the doc comments, as it stands there.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

/** A piece of code that people read, and perhaps copy. */
interface Sample {
  /** Where it stands, relative to the root. */
  readonly page: string;
  /** Line of its first line there, from 1. */
  readonly line: number;
  readonly code: string;
}

/** Declares what a sample may use without saying where it comes from. */
const PRELUDE = readFileSync(join(import.meta.dirname, "samples.prelude.d.ts"), "utf8");

/**
 * Checks the samples of the pages and sources.
 *
 * @param files - Markdown and TypeScript, relative to `root`
 * @returns what the compiler says against them, with file and line; empty when all of them compile
 */
export function checkSamples(root: string, files: readonly string[]): { count: number; complaints: readonly string[] } {
  const samples = files.flatMap((file) => samplesOf(file, readFileSync(join(root, file), "utf8")));
  // Where every package can be found.
  const nameOf = (index: number) => join(root, "examples/src", `sample-${index}.ts`);
  const options = compilerOptions(root);
  const exported = exportsOfPackages(root, options);
  const texts = new Map(
    samples.map(({ code, page }, index) => [
      nameOf(index),
      `${importsFor(code, exported, root, page)} ${code}\nexport {};\n`,
    ]),
  );
  const prelude = join(root, "examples/src/samples.prelude.d.ts");
  texts.set(prelude, PRELUDE);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => texts.has(file) || fileExists(file);
  host.readFile = (file) => texts.get(file) ?? readFile(file);
  host.getSourceFile = (file, ...rest) => {
    const text = texts.get(file);
    return text === undefined ? getSourceFile(file, ...rest) : ts.createSourceFile(file, text, rest[0]);
  };
  const program = ts.createProgram([...texts.keys(), join(root, "vitest.context.d.ts")], options, host);
  const complaints = samples.flatMap(({ page, line }, index) => {
    const file = program.getSourceFile(nameOf(index));
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((found) => {
      const at = file?.getLineAndCharacterOfPosition(found.start ?? 0).line ?? 0;
      return `${page}:${line + at}: ${ts.flattenDiagnosticMessageText(found.messageText, "\n")}`;
    });
  });
  return { count: samples.length, complaints };
}

/** The blocks marked `ts` of a page, or of the doc comments of a source. */
export function samplesOf(page: string, text: string): readonly Sample[] {
  const samples: Sample[] = [];
  let open: { line: number; lines: string[] } | null = null;
  for (const [index, whole] of text.split("\n").entries()) {
    const line = page.endsWith(".ts") ? (/^\s*\* ?(.*)$/.exec(whole)?.[1] ?? null) : whole;
    if (open === null) {
      if (line?.trim() === "```ts") open = { line: index + 2, lines: [] };
    } else if (line === null || line.trim() === "```") {
      samples.push({ page, line: open.line, code: open.lines.join("\n") });
      open = null;
    } else open.lines.push(line);
  }
  return samples;
}

function compilerOptions(root: string): ts.CompilerOptions {
  const path = join(root, "tsconfig.json");
  const { config } = ts.readConfigFile(path, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  // What the sample does not import itself may be a type or a value.
  return { ...options, verbatimModuleSyntax: false, isolatedModules: false };
}

/** Where each name comes from that a package, or the test runner, exports. */
function exportsOfPackages(root: string, options: ts.CompilerOptions): ReadonlyMap<string, string> {
  const entries = new Map(
    ["core", "store-pg", "coordinator", "dispatch-poll", "dispatch-notify", "testing"].map((name) => [
      join(root, `packages/${name}/src/index.ts`),
      `@pup/${name}`,
    ]),
  );
  entries.set(join(root, "packages/testing/src/postgres/index.ts"), "@pup/testing/postgres");
  entries.set(join(root, "packages/testing/src/contracts/index.ts"), "@pup/testing/contracts");
  const program = ts.createProgram([...entries.keys()], options);
  const checker = program.getTypeChecker();
  const names = new Map(["afterAll", "describe", "expect", "inject", "it"].map((name) => [name, "vitest"]));
  for (const [entry, specifier] of entries) {
    const file = program.getSourceFile(entry);
    const symbol = file && checker.getSymbolAtLocation(file);
    for (const { name } of symbol ? checker.getExportsOfModule(symbol) : []) names.set(name, specifier);
  }
  return names;
}

/** Imports, in one line, of what the sample uses of pup and does not import itself; of what its own source exports, too. */
function importsFor(code: string, exported: ReadonlyMap<string, string>, root: string, page: string): string {
  const used = new Set(code.match(/\b[A-Za-z_]\w*\b/g) ?? []);
  const imported = new Set(
    [...code.matchAll(/import (?:type )?\{([^}]*)\}/g)].flatMap(([, names = ""]) => names.match(/\w+/g)),
  );
  const own = page.endsWith(".ts") ? ownExports(root, page) : new Map<string, string>();
  const wanted = new Map([...exported, ...own]);
  return [...used]
    .filter((name) => wanted.has(name) && !imported.has(name))
    .map((name) => `import { ${name} } from ${JSON.stringify(wanted.get(name))};`)
    .join(" ");
}

function ownExports(root: string, page: string): ReadonlyMap<string, string> {
  const from = relative(join(root, "examples/src"), join(root, page));
  const names = readFileSync(join(root, page), "utf8").matchAll(
    /^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm,
  );
  return new Map([...names].map(([, name = ""]) => [name, from.startsWith(".") ? from : `./${from}`]));
}
