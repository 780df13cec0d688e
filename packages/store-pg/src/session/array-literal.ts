/** A value of an array; arrays in it are further dimensions. */
export type ArrayValue = unknown;

/** Reads PostgreSQL's text form of an array: `{1,NULL,"a b"}`. Each element that is not null goes through `parse`. */
export function parseArrayLiteral(text: string, parse: (element: string) => unknown): ArrayValue[] {
  // Bounds that do not start at 1 stand in front: `[0:1]={…}`.
  let at = text.startsWith("[") ? text.indexOf("=") + 1 : 0;

  function readArray(): ArrayValue[] {
    const values: ArrayValue[] = [];
    at += 1;
    while (at < text.length && text[at] !== "}") {
      values.push(text[at] === "{" ? readArray() : readElement());
      if (text[at] === ",") at += 1;
    }
    at += 1;
    return values;
  }

  function readElement(): unknown {
    if (text[at] === '"') return parse(readQuoted());
    const start = at;
    while (at < text.length && text[at] !== "," && text[at] !== "}") at += 1;
    const bare = text.slice(start, at);
    return bare === "NULL" ? null : parse(bare);
  }

  function readQuoted(): string {
    let value = "";
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === "\\") at += 1;
      value += text[at];
    }
    at += 1;
    return value;
  }

  return readArray();
}

/** Writes PostgreSQL's text form of an array. Each element that is not null goes through `serialize`. */
export function formatArrayLiteral(values: readonly ArrayValue[], serialize: (element: unknown) => string): string {
  const elements = values.map((value) => {
    if (Array.isArray(value)) return formatArrayLiteral(value, serialize);
    if (value === null || value === undefined) return "NULL";
    return `"${serialize(value).replaceAll(/["\\]/g, "\\$&")}"`;
  });
  return `{${elements.join(",")}}`;
}
