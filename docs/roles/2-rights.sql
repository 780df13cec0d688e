-- Rights of pup's roles. Read docs/roles.md first.
--
-- Step 2 of 2: run it as pup_owner when migrate() has run, and again after each migration. Running it again changes nothing.
--
-- Names as in step 1. Where a table has another name (option `tables`), put that one here.

GRANT USAGE ON SCHEMA pup TO pup_appender, pup_worker;

-- Appending ---------------------------------------------------------------------------------------------------------------

-- The version of each aggregate, which every append raises.
GRANT SELECT, INSERT, UPDATE ON pup.aggregate_heads TO pup_appender;

-- The log. Nobody is given UPDATE, DELETE or TRUNCATE on it. These columns and no others: a position that was given by hand, or
-- a time, would be no position and no time any more.
GRANT INSERT (
  event_id, aggregate_version, event_version, bucket, event_type, aggregate_type, aggregate_id, payload, metadata, trace_id,
  correlation_id, causation_id
) ON pup.events TO pup_appender;

-- Streams are read, and ids that come again are looked up.
GRANT SELECT ON pup.events TO pup_appender;

-- Running consumers -------------------------------------------------------------------------------------------------------

-- What was migrated: a worker begins by looking.
GRANT SELECT ON pup.pup_migrations TO pup_worker;

GRANT SELECT ON pup.events TO pup_worker;

-- A consumer's first run creates its checkpoint; nothing ever deletes one.
GRANT SELECT, INSERT, UPDATE ON pup.consumer_checkpoints TO pup_worker;

-- Workers come and go, and so does what they are given.
GRANT SELECT, INSERT, UPDATE, DELETE ON pup.worker_nodes TO pup_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON pup.consumer_assignments TO pup_worker;
GRANT SELECT, INSERT, UPDATE ON pup.leader_lease TO pup_worker;

-- Events that a consumer goes on without. Whoever retries or discards them by hand needs the same.
GRANT SELECT, INSERT, UPDATE, DELETE ON pup.consumer_dead_letters TO pup_worker;

-- Beyond pup --------------------------------------------------------------------------------------------------------------

-- What consumers write is yours, and lies in a schema of yours:
--   GRANT USAGE ON SCHEMA shop TO pup_worker;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO pup_worker;
-- A consumer that appends events, or a program that both appends and runs consumers, is both:
--   GRANT pup_appender TO pup_worker;
