// Reads GET /docs with all operations, once, on a phone, from a link to one of the last: what depends on how many there
// are. Prints what was seen as JSON. Argument: the API's base URL.

import { launch, open } from "./browser.mjs";
import { judged, linked, ready, searched } from "./looking.mjs";

const [base] = process.argv.slice(2);
const seen = { errors: [], operations: {} };

const browser = await launch();
try {
  const page = await open(browser, { viewport: { width: 390, height: 844 } });
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  await page.goto(`${base}/docs#/v1-decisions/v1_delete_decision`);
  await ready(page);
  await page.locator(".opblock .opblock-body").waitFor();
  await page.waitForFunction(() => scrollY > 0);
  seen.linked = await linked(page);
  Object.assign(seen, await judged(page, "light"));
  seen.groups = await page.locator(".opblock-tag").evaluateAll((all) => all.map((each) => each.dataset.tag));
  for (const dialect of ["flat", "v1", "all"]) {
    await page.click(`button[data-show=${dialect}]`);
    seen.operations[dialect] = await page.locator(".opblock-summary:visible").count();
  }
  seen.search = await searched(page, ["e-mail find", "PATCH reassign", ""]);
} finally {
  await browser.close();
  console.log(JSON.stringify(seen));
}
