// What an entry of a package weighs, minified and gzipped, with the dependencies that it brings, but neither @pup/core, which everybody
// has, nor the peers. A limit leaves room for a fix, not for a feature: whoever raises one says why.
const limits = {
  core: "8 kB",
  "dispatch-poll": "2 kB",
  "dispatch-notify": "4.5 kB",
  coordinator: "17 kB",
  "store-pg": "36 kB",
  // The store in memory waits and breaks where PostgreSQL does: 14.5 kB of it are for a test, none for a program that runs.
  testing: "16 kB",
};

export default Object.entries(limits).map(([name, limit]) => ({
  name: `@pup/${name}`,
  path: `packages/${name}/dist/index.js`,
  limit,
  gzip: true,
  ignore: ["@pup/core", "kysely", "postgres"],
  modifyEsbuildConfig: (config) => ({ ...config, platform: "node", format: "esm" }),
}));
