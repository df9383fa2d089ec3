// Asks axe-core, an accessibility checker, about a page. Only these scripts use it: it is no part of what is built.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ASK = `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.map(({ id, nodes }) => ({ id, places: nodes.map(({ target, failureSummary }) => target.join(" ") + ": " + failureSummary) })))`;

/**
 * The rules that the page breaks, each with its places. axe runs in a world of its own beside the page's scripts, so that the page's
 * Content-Security-Policy stays in force.
 */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      expression,
      contextId,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`axe: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  };
  await run(source);
  const found = await run(ASK);
  await session.detach();
  return found;
}
