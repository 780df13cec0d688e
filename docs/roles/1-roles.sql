-- Roles for pup, each with no more than its work needs. Read docs/roles.md first.
--
-- Step 1 of 2: the roles, and a schema that belongs to one of them. Run it once, in the database that is to hold the events, as
-- a superuser or as a role that may create roles (CREATEROLE) and schemas (CREATE on the database).
--
-- Give the roles names and passwords of your own. The schema may have any name, too, which migrate() and createPgStore() are
-- then told: { schema: 'pup' }.

-- Owns the tables and migrates them. No program but the migration logs in with it.
CREATE ROLE pup_owner LOGIN PASSWORD 'change-me';

-- Appends events and reads streams: your application.
CREATE ROLE pup_appender LOGIN PASSWORD 'change-me';

-- Runs consumers: your workers. All workers that share consumers log in with the same role.
CREATE ROLE pup_worker LOGIN PASSWORD 'change-me';

-- The new schema is its owner's from the start, so that migrating takes no right on the database. In the schema "public",
-- where 15 and later let nobody but its owner create tables, it would take: GRANT CREATE ON SCHEMA public TO pup_owner.
-- Only who is a member of a role may give it something. PostgreSQL 16 and later make whoever creates a role a member of it that
-- may not act for it; without the superuser's rights, this has to be allowed for the moment.
GRANT pup_owner TO CURRENT_USER;
CREATE SCHEMA pup AUTHORIZATION pup_owner;
REVOKE pup_owner FROM CURRENT_USER;
