/** The statements that a client sends, from its option `debug`. */
export interface StatementLog {
  /** To be spread into the connection options. */
  readonly options: { readonly debug: (connection: number, query: string) => void };
  /** Runs `work` and gives the statements that were sent meanwhile, first words only where they tell enough. */
  during(work: () => Promise<unknown>): Promise<string[]>;
}

export function createStatementLog(): StatementLog {
  const statements: string[] = [];
  return {
    options: { debug: (_, query) => statements.push(query) },
    async during(work) {
      statements.length = 0;
      await work();
      return [...statements];
    },
  };
}
