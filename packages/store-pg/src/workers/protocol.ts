/**
 * What this version of pup understands about sharing consumers out. Raised when workers have to do something that older ones
 * would not: a leader deals nothing out to workers that are ahead of it, and leaves them what they have.
 */
export const PROTOCOL = 1;
