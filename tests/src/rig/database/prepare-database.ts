import { migrate } from "@pup/store-pg";
import type { Sql } from "postgres";
import { createTrail } from "../../support/trail.ts";
import type { Protection } from "../protections.ts";

/** Makes pup's tables, those of the rig, and what watches over checkpoints. Answers with the server's major version. */
export async function prepareDatabase(sql: Sql, databaseUrl: string, broken: Protection | null): Promise<number> {
  await migrate({ connection: databaseUrl });
  await createTrail(sql);
  await watchCheckpoints(sql);
  if (broken === "epoch") await keepEpochs(sql);
  const [{ version }] = await sql<[{ version: number }]>`
    select current_setting('server_version_num')::integer / 10000 as version`;
  return version;
}

/** Notes each move of a checkpoint that must not be, in the transaction that makes it. */
async function watchCheckpoints(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table wrong_moves (consumer text not null, what text not null, at timestamptz not null default clock_timestamp());

    create function watch_checkpoint() returns trigger language plpgsql as $$
    begin
      if new.last_position < old.last_position then
        insert into wrong_moves values (new.consumer_name, 'backwards');
      end if;
      if new.epoch < old.epoch or new.last_position <> old.last_position and new.epoch <> old.epoch then
        insert into wrong_moves values (new.consumer_name, 'epoch');
      end if;
      return null;
    end $$;
    create trigger watch_checkpoint after update on consumer_checkpoints
      for each row execute function watch_checkpoint();

    -- Effects of a batch, held against the row that its transaction has locked: once a statement.
    create function watch_effects() returns trigger language plpgsql as $$
    begin
      insert into wrong_moves
      select distinct effect.consumer, 'foreign epoch'
      from added as effect join consumer_checkpoints as checkpoint on checkpoint.consumer_name = effect.consumer
      where effect.epoch <> checkpoint.epoch and effect.consumer <> 'outside';
      return null;
    end $$;
    create trigger watch_effects after insert on trail
      referencing new table as added for each statement execute function watch_effects();
  `);
}

/** Whatever takes a consumer over, its epoch stays what it was. */
async function keepEpochs(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create function keep_epoch() returns trigger language plpgsql as $$
    begin
      new.epoch := old.epoch;
      return new;
    end $$;
    create trigger keep_epoch before update on consumer_checkpoints for each row execute function keep_epoch();
  `);
}
