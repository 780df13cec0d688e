// Records what each entry of each package exports in a file that is committed: a change of the public API shows in its diff.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

/** What came of it. */
export interface ApiReports {
  /** Reports that differ from what is committed; empty when all are up to date. */
  readonly changed: readonly string[];
  /** What the extractor had to say against the declarations. */
  readonly complaints: readonly string[];
}

interface Entry {
  readonly packageFolder: string;
  /** `core`, `testing-contracts`. */
  readonly name: string;
  readonly declarations: string;
}

/**
 * Compares the reports with the built packages.
 *
 * @param options.write - brings the reports up to date
 */
export function compareApiReports(root: string, options: { readonly write: boolean }): ApiReports {
  const complaints: string[] = [];
  const changed = entriesOf(root).flatMap((entry) => {
    const reportFolder = join(entry.packageFolder, "api");
    mkdirSync(reportFolder, { recursive: true });
    const config = ExtractorConfig.prepare({
      configObject: {
        projectFolder: entry.packageFolder,
        mainEntryPointFilePath: entry.declarations,
        compiler: {
          overrideTsconfig: {
            compilerOptions: {
              module: "nodenext",
              target: "es2023",
              lib: ["es2024", "esnext.disposable"],
              types: ["node"],
              skipLibCheck: true,
            },
          },
        },
        apiReport: {
          enabled: true,
          reportFileName: `${entry.name}.api.md`,
          reportFolder,
          reportTempFolder: join(entry.packageFolder, "node_modules/.cache/api"),
          includeForgottenExports: true,
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        messages: {
          compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
          // What a declaration should look like is the linter's business and the reviewer's.
          extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
          tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        },
      },
      configObjectFullPath: undefined,
      packageJsonFullPath: join(entry.packageFolder, "package.json"),
    });
    const { apiReportChanged } = Extractor.invoke(config, {
      localBuild: options.write,
      messageCallback(message) {
        message.handled = true;
        if (message.logLevel === ExtractorLogLevel.Error) complaints.push(`${entry.name}: ${message.text}`);
      },
    });
    return apiReportChanged ? [relative(root, join(reportFolder, `${entry.name}.api.md`))] : [];
  });
  return { changed, complaints };
}

function entriesOf(root: string): Entry[] {
  return readdirSync(join(root, "packages")).flatMap((name) => {
    const packageFolder = join(root, "packages", name);
    const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
      readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
    };
    return Object.entries(manifest.exports).flatMap(([path, target]) =>
      typeof target === "string"
        ? []
        : [
            {
              packageFolder,
              name: [name, ...path.split("/").slice(1)].join("-"),
              declarations: join(packageFolder, target.types),
            },
          ],
    );
  });
}
