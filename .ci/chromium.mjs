// The browser of the other scripts. playwright-core is found through NODE_PATH, since it is installed outside the repository.
import { createRequire } from "node:module";

export const { chromium } = createRequire(import.meta.url)("playwright-core");
/** How Debian's Chromium starts: without a screen, and without requests of its own. */
export const options = {
  executablePath: process.env.CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};
