// What the reference needs to know about this workspace.
import { Converter, ReflectionKind } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  // Where sources lie is no business of readers.
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) module.name = module.name.replace("/src", "");
  });

  // Doc comments name what other packages export without importing it: `{@link FencedError}`. The names are unique in pup.
  app.converter.addUnknownSymbolResolver(({ symbolReference }, reflection) => {
    const [name, member] = (symbolReference?.path ?? []).map(({ path }) => path);
    const named = reflection.project
      .getReflectionsByKind(ReflectionKind.SomeExport)
      .find((candidate) => candidate.name === name);
    const target = member === undefined ? named : named?.getChildByName([member]);
    return target && { target };
  });
}
