/** Something that must not happen. Its message is the reason that people read. */
export class DemoFailure extends Error {
  override readonly name = "DemoFailure";
}
