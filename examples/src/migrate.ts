// A step of the deployment, before the new workers: creates the tables or brings them up to date. Several at once do no harm.
import { migrate } from "@pup/store-pg";

const { DATABASE_URL: connection } = process.env;
if (!connection) throw new Error("Expected DATABASE_URL to name the database.");
await migrate({ connection });
