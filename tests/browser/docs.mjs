// Reads GET /docs as a person would: opens it, gives an API key to its own dialog, sends a request, comes back in another
// tab. Prints what was seen as JSON. Arguments: the API's base URL, an API key.

import { launch, open } from "./browser.mjs";

const [base, key] = process.argv.slice(2);
const seen = { errors: [], asked: [], title: "", groups: [], operations: {}, answer: {}, sent: {}, secret: false, samples: {}, kept: {} };

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
  const page = await open(context);
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

  const dialog = page.locator("dialog.credentials");
  const keep = dialog.locator("input[type=checkbox]");
  const enter = async (wished) => {
    await page.click("#enter");
    await dialog.locator("input[value=ApiKey]").check();
    await dialog.locator("input[type=password]").fill(key);
    await keep.setChecked(wished);
    await dialog.locator("button[type=submit]").click();
    await dialog.waitFor({ state: "detached" });
  };
  await enter(false);
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
  // In each language; and whether the secret stands anywhere on the page.
  const samples = async (of) => {
    const found = {};
    for (const button of await of.locator(".switch button").all()) {
      await button.click();
      found[await button.textContent()] = await of.locator("pre").textContent();
      seen.secret ||= (await page.content()).includes(key);
    }
    return found;
  };
  seen.sent = await samples(operation.locator(".responses-inner .samples"));
  await page.click("button[data-show=all]");
  for (const id of ["flat-projects-create_project", "v1-projects-v1_update_project", "flat-projects-delete_project"]) {
    await page.locator(`#operations-${id} .opblock-summary-control`).click();
    seen.samples[id] = await samples(page.locator(`#operations-${id} .samples-wrapper .samples`));
  }

  // What is kept depends on no operation, so these pages have one alone: they are there in a fifth of the time.
  const document = await (await fetch(`${base}/openapi.json`)).json();
  const short = { ...document, paths: { "/v1/me": document.paths["/v1/me"] } };
  await context.route("**/openapi.json", (route) => route.fulfill({ json: short }));

  // Whether a tab is authorized, and whether the device has the secret.
  const look = async (in_) => {
    await in_.waitForSelector("html[data-ready]");
    const stored = await in_.evaluate((key) => JSON.stringify(localStorage).includes(key), key);
    return [await in_.textContent("#enter"), stored];
  };
  const another = async () => {
    const tab = await open(context);
    await tab.goto(`${base}/docs`);
    const found = await look(tab);
    await tab.close();
    return found;
  };
  await page.reload();
  seen.kept["the same tab"] = await look(page);
  seen.kept["another tab"] = await another();
  await enter(true);
  seen.kept["another tab, ticked"] = await another();
  await page.click("#enter");
  await keep.uncheck();
  await page.keyboard.press("Escape");
  seen.kept["the same tab, unticked"] = await look(page);
  seen.kept["another tab, unticked"] = await another();
  await page.click("#enter");
  await dialog.getByText("Log out").click();
  seen.kept["the same tab, logged out"] = await look(page);
  await page.evaluate((key) => localStorage.setItem("authorized", JSON.stringify({ ApiKey: { value: key } })), key);
  await page.reload();
  seen.kept["what an older page kept"] = await look(page);
} finally {
  await browser.close();
  console.log(JSON.stringify(seen));
}
