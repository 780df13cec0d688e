// The migrations live at the top of the repository, where any tool can apply them; the package ships a copy.
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const from = fileURLToPath(new URL("../migrations", import.meta.url));
const to = fileURLToPath(new URL("../packages/store-pg/migrations", import.meta.url));

rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true, filter: (path) => path === from || path.endsWith(".sql") });
