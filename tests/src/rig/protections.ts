/**
 * What `--break` switches off, to show that a run would notice:
 * - `settled`: consumers read up to the newest position, settled or not
 * - `fence`: a batch runs although its epoch is not the present one
 * - `epoch`: a take-over does not raise the epoch
 * - `notify-reconcile`: nobody looks for new events unless a notification says so
 *
 * By injection in the processes of the rig: no option of pup can do it.
 */
export const protections = ["settled", "fence", "epoch", "notify-reconcile"] as const;

export type Protection = (typeof protections)[number];
