// Links between pages, and to headings in them, for `npm run check -- links`.
import remarkValidateLinks from "remark-validate-links";

export default { plugins: [[remarkValidateLinks, { repository: false }]] };
