/**
 * Condition in SQL under which the server lets this role end a session of `pg_stat_activity`: one of the same role, or of a role
 * that this one is a member of. Asked for any other, the server would fail the whole statement.
 */
export function mayEnd(session: string): string {
  return `pg_has_role(${session}.usesysid, 'USAGE')`;
}
