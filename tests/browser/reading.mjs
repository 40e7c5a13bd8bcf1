// Reads GET /docs: the faults that axe-core finds and whether the page is wider than the screen, on a phone and on a
// desktop, in light and in dark colours; what links into it show, what its search finds, what the keyboard does, on a
// phone. Prints it as JSON. Arguments: the API's base URL, a folder for screenshots if they are wanted.

import { launch, open } from "./browser.mjs";
import { judged, linked, ready, searched } from "./looking.mjs";

const [base, folder] = process.argv.slice(2);
const WIDTHS = [1400, 390]; // the last one stays
const LINKS = ["#/flat-tasks/update_task", "#/v1-decisions/v1_delete_decision", "#/v1-members", "#errors"];

const browser = await launch();
const seen = { found: {}, wider: {}, linked: {} };
try {
  const page = await open(browser, { viewport: { width: WIDTHS.at(-1), height: 844 } });
  // In all screens, or in two with each width and each scheme of colours.
  const look = async (what, ...schemes) => {
    for (const [place, width] of WIDTHS.entries()) {
      await page.setViewportSize({ width, height: 844 });
      for (const colorScheme of schemes.length ? [schemes[place]] : ["light", "dark"]) {
        const name = `${what}, ${width}, ${colorScheme}`;
        ({ found: seen.found[name], wider: seen.wider[name] } = await judged(page, colorScheme));
        if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
      }
    }
  };

  await page.goto(`${base}/docs`);
  await ready(page);
  await look("closed", "light", "dark");

  // One operation with its schemas and all its refusals, one with the answer that it got.
  const operation = page.locator("#operations-v1-projects-v1_update_project");
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".refusal").first().waitFor();
  seen.refusals = await operation.locator(".refusal").evaluateAll((all) => all.map((each) => each.dataset.code));
  seen.unfolded = await operation.locator(".refusal .model-example").count();
  for (const each of await operation.locator("button.tablinks[data-name=model]").all()) await each.click();
  for (const each of await operation.locator(".refusal summary").all()) await each.click();
  await operation.locator(".refusal table").last().waitFor();
  const list = page.locator("#operations-flat-datasets-list_datasets");
  await list.locator(".opblock-summary-control").click();
  await list.locator(".btn.execute").click();
  await list.locator(".live-responses-table").waitFor();
  seen.sent = await list.locator(".request-url pre").textContent();
  await look("open");

  await page.focus("#enter");
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor();
  await look("the dialog", "dark", "light");
  const focused = () => page.evaluate(() => document.activeElement.closest("dialog")?.className ?? document.activeElement.id);
  seen.focus = [await focused()];
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  seen.focus.push(await focused());

  seen.search = await searched(page, ["e-mail find", "PATCH reassign", "no such thing", ""]);

  for (const hash of LINKS) {
    await page.evaluate(() => { history.replaceState(null, "", "#top"); scrollTo(0, 0); });
    const other = hash.startsWith("#/v1") ? "flat" : "v1";
    await page.click(`button[data-show=${other}]`);
    await page.goto(`${base}/docs${hash}`); // the same page: a link in it
    await page.waitForFunction(() => scrollY > 0);
    const within = await linked(page);
    await page.reload();
    await ready(page);
    if (hash.split("/").length > 2) await page.locator(".opblock .opblock-body").waitFor();
    await page.waitForFunction(() => scrollY > 0);
    seen.linked[hash] = [within, await linked(page), await page.evaluate(() => localStorage.getItem("atrium-dialect"))];
    if (folder) await page.screenshot({ path: `${folder}/${hash.replace(/\W+/g, "-")}.png` });
  }
  seen.sections = await page
    .locator("#groups [data-dialect=guide] a")
    .evaluateAll((all) => all.map((each) => [each.textContent, document.getElementById(each.hash.slice(1))?.textContent]));
} finally {
  await browser.close();
  console.log(JSON.stringify(seen));
}
