// Loaded before anything else, with `node --import`: a process that is wrong about the time of day. PUP_RIG_CLOCK_SKEW_MS
// says by how much.
const skewMs = Number(process.env.PUP_RIG_CLOCK_SKEW_MS ?? 0);
const RealDate = Date;
const now = () => RealDate.now() + skewMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, property, receiver) => (property === "now" ? now : Reflect.get(target, property, receiver)),
});
