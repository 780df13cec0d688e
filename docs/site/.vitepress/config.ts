// The pages of the repository, where they lie, as a site. Links in them are those that work on GitHub as well.
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { defineConfig } from "vitepress";

const root = join(import.meta.dirname, "../../..");
const repository = "https://github.com/pupsourcing/pup";
const packages = ["core", "store-pg", "coordinator", "dispatch-poll", "dispatch-notify", "testing"];
const reference = JSON.parse(
  readFileSync(join(root, "docs/site/reference/typedoc-sidebar.json"), "utf8")
    .replaceAll("/docs/site/reference/", "/reference/")
    .replaceAll('.md"', '"'),
);

/** Where a page of the repository stands on the site. */
function placeOf(page: string): string {
  return page
    .replace(/^docs\/site\/reference\//, "reference/")
    .replace(/^docs\//, "")
    .replace(/(^|\/)README\.md$/, "$1index.md");
}

/** What a link in `page` becomes: another page of the site, or a file on GitHub. */
function resolveLink(page: string, href: string): string {
  if (/^[a-z]+:|^#|^\//.test(href)) return href;
  const [path = "", anchor] = href.split("#");
  const target = posix.normalize(posix.join(posix.dirname(page), decodeURI(path)));
  const suffix = anchor === undefined ? "" : `#${anchor}`;
  const onDisk = join(root, target);
  if (!existsSync(onDisk)) throw new Error(`${page} links to ${href}, which is not there.`);
  if (target.endsWith(".md")) return `/${placeOf(target)}${suffix}`;
  return `${repository}/${statSync(onDisk).isDirectory() ? "tree" : "blob"}/main/${target}${suffix}`;
}

function titleOf(page: string): string {
  return /^# (.*)$/m.exec(readFileSync(join(root, page), "utf8"))?.[1]?.replaceAll("`", "") ?? page;
}

const linkTo = (page: string) => ({ text: titleOf(page), link: `/${placeOf(page).replace(/(index)?\.md$/, "")}` });
const pagesOf = (pattern: string) => globSync(pattern, { cwd: root }).toSorted().map(linkTo);

export default defineConfig({
  title: "pup",
  description: "Event sourcing on PostgreSQL for TypeScript",
  srcDir: root,
  outDir: join(import.meta.dirname, "dist"),
  srcExclude: ["**/node_modules/**", ".changeset/**", "**/CHANGELOG.md", "packages/*/api/**", "tests/**"],
  rewrites: placeOf,
  cleanUrls: true,
  // Pages become components, and look for this from where they lie.
  vite: {
    resolve: {
      alias: [
        { find: /^vue(\/server-renderer)?$/, replacement: `${join(import.meta.dirname, "../node_modules/vue")}$1` },
      ],
    },
  },
  markdown: {
    config(markdown) {
      const render =
        markdown.renderer.rules.link_open ??
        ((tokens, index, options, _env, self) => self.renderToken(tokens, index, options));
      markdown.renderer.rules.link_open = (tokens, index, options, env, self) => {
        const page = relative(root, env.realPath ?? env.path);
        const href = tokens[index]?.attrGet("href");
        if (href) tokens[index]?.attrSet("href", resolveLink(page, href));
        return render(tokens, index, options, env, self);
      };
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Start", link: "/" },
      { text: "Packages", link: "/packages/core/" },
      { text: "Reference", link: "/reference/" },
      { text: "Decisions", link: "/decisions/0001-a-session-is-one-connection-that-is-never-opened-twice" },
    ],
    sidebar: {
      "/reference/": reference,
      "/decisions/": [{ text: "Decisions", items: pagesOf("docs/decisions/*.md") }],
      "/": [
        { text: "pup", items: [{ text: "Start", link: "/" }, linkTo("examples/README.md"), ...pagesOf("docs/*.md")] },
        { text: "Packages", items: packages.map((name) => linkTo(`packages/${name}/README.md`)) },
        { text: "Working on it", items: [linkTo("CONTRIBUTING.md"), linkTo("RELEASING.md")] },
      ],
    },
    socialLinks: [{ icon: "github", link: repository }],
  },
});
