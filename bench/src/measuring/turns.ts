/**
 * In which order the contestants of each round take their turns: A B C, B C A, C A B, … What slows the machine down for a while then
 * hits all of them, and nobody always comes right after the same other one.
 */
export function turns<Contestant>(contestants: readonly Contestant[], rounds: number): readonly Contestant[][] {
  return Array.from({ length: rounds }, (_, round) => {
    const first = round % contestants.length;
    return [...contestants.slice(first), ...contestants.slice(0, first)];
  });
}
