-- The event log.
--
-- Does: creates the log, the heads that put appends to one aggregate in order, and the list of migrations.
-- Old workers: none can exist before this step.
-- Locks: nothing but its own new tables, for a few milliseconds.
--
-- PostgreSQL 12 and later. Apply every file once, in order, each in a transaction of its own:
--   psql --single-transaction --set ON_ERROR_STOP=1 --file 0001_events.sql
-- Tables stand in quotes, so that the function migrate() of the package @pup/store-pg can give them other names.

CREATE TABLE "pup_migrations" (
  version integer PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  -- Oldest version whose code works with the tables as they are now. NULL: code has to know this very version.
  compatible_since integer
);

-- Events are only ever added. Fixed-width columns come first, so that rows need no padding.
CREATE TABLE "events" (
  -- Drawn by the inserting statement, while it holds its lock on this table: readers rely on both. No session may keep
  -- a stock of numbers, or versions of one aggregate would not be in the order of positions.
  global_position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  event_id uuid NOT NULL UNIQUE,
  aggregate_version integer NOT NULL,
  event_version integer NOT NULL,
  -- Which of 1,024 parts the aggregate belongs to, for consumers that share the log out among themselves. The same for
  -- ever, in every version and language:
  --   ('x' || left(md5(convert_to(aggregate_type, 'UTF8') || '\x00' || convert_to(aggregate_id, 'UTF8')), 3))::bit(10)::int
  bucket smallint NOT NULL,
  event_type text NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id text NOT NULL,
  payload jsonb NOT NULL,
  metadata jsonb,
  trace_id text,
  correlation_id text,
  causation_id text,
  UNIQUE (aggregate_id, aggregate_type, aggregate_version)
);

-- Readers of some types follow these two. No other index may begin with a type: PostgreSQL would now and then prefer it, and
-- sort all events of that type for one page.
CREATE INDEX ON "events" (event_type, global_position);
CREATE INDEX ON "events" (aggregate_type, global_position);
CREATE INDEX ON "events" (correlation_id) WHERE correlation_id IS NOT NULL;

-- One row per aggregate, locked by every append to it.
CREATE TABLE "aggregate_heads" (
  aggregate_type text NOT NULL,
  aggregate_id text NOT NULL,
  -- Version of the newest event. 0: there are none, but an append was once tried in a transaction that went on without it.
  aggregate_version integer NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (aggregate_type, aggregate_id)
)
-- Room in each page for the next version of a row: updates then leave the index alone.
WITH (fillfactor = 80);

INSERT INTO "pup_migrations" (version, name) VALUES (1, '0001_events');
