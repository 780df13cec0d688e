import { type ExecFileException, execFile } from "node:child_process";

/** What every command of one place shares. */
export interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Runs a command to its end. @throws Error with everything that it said, when it fails */
export function run({ folder, env }: Place, command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string) => {
      if (!error) resolve(stdout);
      else reject(new Error([`${command} ${args.join(" ")} failed in ${folder}:`, stdout, stderr].join("\n")));
    };
    execFile(command, args, { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }, done);
  });
}
