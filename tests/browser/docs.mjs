// Reads GET /docs as a person would: opens it, gives an API key to its own dialog, sends a request. Prints what was
// seen as JSON. Arguments: the API's base URL, an API key.

import { launch, open } from "./browser.mjs";

const [base, key] = process.argv.slice(2);
const seen = { errors: [], asked: [], title: "", groups: [], operations: {}, answer: {}, kept: false };

const browser = await launch();
try {
  const page = await open(browser, { viewport: { width: 1360, height: 900 } });
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.asked.push(request.url()));
  await page.goto(`${base}/docs`);
  await page.waitForSelector("html[data-ready]");
  seen.title = await page.title();
  seen.groups = await page.locator(".opblock-tag").evaluateAll((all) => all.map((each) => each.dataset.tag));
  const shown = async () => page.locator(".opblock-summary:visible").count();
  for (const dialect of ["all", "flat", "v1"]) {
    await page.click(`button[data-show=${dialect}]`);
    seen.operations[dialect] = await shown();
  }

  await page.click("#enter");
  const dialog = page.locator(".auth-container", { hasText: "X-API-Key" });
  await dialog.locator("input").fill(key);
  await dialog.locator("button[type=submit]").click();
  await page.click(".modal-ux .btn-done");
  seen.button = await page.textContent("#enter");

  const operation = page.locator("#operations-v1-caller-v1_get_me");
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".btn.execute").click();
  const answer = operation.locator(".live-responses-table");
  await answer.waitFor();
  seen.answer = {
    url: await operation.locator(".request-url pre").textContent(),
    status: Number((await answer.locator("tbody .response-col_status").first().textContent()).match(/\d+/)[0]),
    body: JSON.parse(await answer.locator("pre code").first().textContent()),
  };

  await page.reload();
  await page.waitForSelector("html[data-ready]");
  seen.kept = (await page.textContent("#enter")) === "Authorized";
} finally {
  await browser.close();
  console.log(JSON.stringify(seen));
}
