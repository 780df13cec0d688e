import type { BatchRunner, CheckpointStore } from "./checkpoint.ts";
import type { Coordination } from "./coordination.ts";
import type { DeadLetterQueue } from "./dead-letters.ts";
import type { EventLog } from "./event-log.ts";

/** All that a worker needs of a store. */
export interface WorkerStore<Tx = unknown>
  extends EventLog,
    CheckpointStore,
    BatchRunner<Tx>,
    DeadLetterQueue,
    Coordination {
  /**
   * Checks that the tables are there, of a version that this store understands, and that a worker may use them.
   *
   * @throws {@link SchemaMissingError} when they are not there: names the command that makes them
   * @throws {@link SchemaTooNewError} when they are newer
   */
  checkSchema(): Promise<void>;
}
