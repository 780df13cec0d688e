// Lets jest read TypeScript as Node does.
import { stripTypeScriptTypes } from "node:module";

const transformer = { process: (source) => ({ code: stripTypeScriptTypes(source) }) };

// biome-ignore lint/style/noDefaultExport: jest asks for it.
export default transformer;
