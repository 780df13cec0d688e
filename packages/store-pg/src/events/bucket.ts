import { hash } from "node:crypto";
import type { AggregateRef } from "@pup/core";

/**
 * Which of 1,024 parts of the log an aggregate belongs to, 0 to 1023: the first ten bits of the MD5 of type, NUL and id in
 * UTF-8. Stored with every event, so it must never change. The same in SQL:
 *
 * ```sql
 * ('x' || left(md5(convert_to(aggregate_type, 'UTF8') || '\x00' || convert_to(aggregate_id, 'UTF8')), 3))::bit(10)::int
 * ```
 */
export function bucketOf({ aggregateType, aggregateId }: AggregateRef): number {
  return Number.parseInt(hash("md5", `${aggregateType}\0${aggregateId}`).slice(0, 3), 16) >> 2;
}
