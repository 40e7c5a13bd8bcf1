// The Chromium that prepare.mjs unpacked, with its own libraries and its own fonts.

import { chromium } from "playwright-core";

const here = new URL(".", import.meta.url).pathname;
const folder = `${here}node_modules/.chromium/`;

export const launch = () =>
  chromium.launch({
    executablePath: `${folder}chromium`,
    args: ["--no-sandbox", "--no-zygote"],
    timeout: 120_000,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: `${folder}al2023/lib`,
      FONTCONFIG_FILE: `${here}fonts.conf`,
      XDG_CACHE_HOME: `${folder}cache`,
    },
  });

// A page of `options` on which nothing is given up before the test itself is.
export const open = async (browser, options) => {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(200_000);
  return page;
};
