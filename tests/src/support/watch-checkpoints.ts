import type { Sql } from "postgres";

/** Has the database note every checkpoint that is set back, whoever does it. */
export async function watchCheckpoints(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table steps_back (consumer text, was bigint, became bigint);
    create function note_step_back() returns trigger language plpgsql as $$
    begin
      if new.last_position < old.last_position then
        insert into steps_back values (new.consumer_name, old.last_position, new.last_position);
      end if;
      return new;
    end $$;
    create trigger watch before update on consumer_checkpoints for each row execute function note_step_back()`);
}

/** What was noted so far: nothing, if all is well. */
export async function stepsBack(sql: Sql): Promise<readonly { consumer: string; was: string; became: string }[]> {
  return sql`select consumer, was::text, became::text from steps_back`;
}
