// Loaded before a program, it sets the program's clock wrong by `CLOCK_SKEW_MS`. Intervals stay as long as they are.
const skewMs = Number(process.env.CLOCK_SKEW_MS ?? 0);

if (skewMs !== 0) {
  globalThis.Date = new Proxy(Date, {
    construct: (real, given) => Reflect.construct(real, given.length === 0 ? [real.now() + skewMs] : given),
    get: (real, name) => (name === "now" ? () => real.now() + skewMs : Reflect.get(real, name)),
  });
}
