// Reads GET /docs as a person would: opens it, gives an API key to its own dialog, sends a request. Prints what was
// seen as JSON. Arguments: the API's base URL, an API key.

import { chromium } from "playwright-core";

const [base, key] = process.argv.slice(2);
const folder = new URL("node_modules/.chromium/", import.meta.url).pathname;
const seen = { errors: [], asked: [], title: "", groups: [], operations: {}, answer: {}, kept: false };

const browser = await chromium.launch({
  executablePath: `${folder}chromium`,
  args: ["--no-sandbox", "--no-zygote"],
  env: { ...process.env, LD_LIBRARY_PATH: `${folder}al2023/lib`, FONTCONFIG_PATH: `${folder}fonts` },
});
try {
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
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
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
} finally {
  await browser.close();
  console.log(JSON.stringify(seen));
}
