-- Consumers and the workers that run them.
--
-- Does: creates checkpoints, dead letters, and what workers share consumers out with.
-- Old workers: none can exist before this step. Appends go on meanwhile.
-- Locks: nothing but its own new tables, for a few milliseconds.

-- How far each consumer has come. Written by every batch: the settings keep these few pages small and let updates leave
-- the index alone.
CREATE TABLE "consumer_checkpoints" (
  consumer_name text PRIMARY KEY,
  -- All events in scope at or below it have been handled.
  last_position bigint NOT NULL,
  -- Raised by every take-over. Who comes with another one is refused.
  epoch bigint NOT NULL DEFAULT 0,
  -- Worker that runs the consumer; NULL when it was handed back.
  owner_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Workers that are there, one row each, touched by every heartbeat.
CREATE TABLE "worker_nodes" (
  worker_id uuid PRIMARY KEY,
  heartbeat_at timestamptz NOT NULL,
  -- Consumers whose code the worker has.
  consumers text[] NOT NULL,
  -- What the worker understands. A leader gives nothing to workers that are ahead of it, and takes nothing from them.
  protocol integer NOT NULL,
  -- Low half of the advisory lock that the worker's session holds while it lives.
  lock_number integer GENERATED ALWAYS AS IDENTITY (CYCLE),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Which worker is to run which consumer. Written by the leader.
CREATE TABLE "consumer_assignments" (
  consumer_name text PRIMARY KEY,
  worker_id uuid NOT NULL,
  -- Leadership that decided it.
  term bigint NOT NULL,
  -- Since when the worker is to run it.
  assigned_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Who leads. One row, locked while assignments are written.
CREATE TABLE "leader_lease" (
  lease_key text PRIMARY KEY,
  -- Worker that leads; NULL when it resigned.
  owner_id uuid,
  -- Raised by every new leader.
  term bigint NOT NULL,
  -- When the leadership ends by itself; NULL where a session's lock decides.
  expires_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Events that a consumer went on without. No payloads: the log has them.
CREATE TABLE "consumer_dead_letters" (
  consumer_name text NOT NULL,
  global_position bigint NOT NULL,
  event_id uuid NOT NULL,
  event_type text NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id text NOT NULL,
  -- Later events of the aggregate come here as well, until this one is gone.
  parked boolean NOT NULL,
  -- 0, and no failure, for an event that only waits behind another one of its aggregate.
  attempts integer NOT NULL,
  error_message text,
  error_stack text,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  -- Since when it is to be handled again; NULL when it is not. Of a parked aggregate only the first one ever is.
  due_since timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer_name, global_position)
);

CREATE INDEX ON "consumer_dead_letters" (consumer_name, aggregate_type, aggregate_id, global_position) WHERE parked;
CREATE INDEX ON "consumer_dead_letters" (consumer_name, global_position) WHERE due_since IS NOT NULL;

INSERT INTO "pup_migrations" (version, name) VALUES (2, '0002_workers');
