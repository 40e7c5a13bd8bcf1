// How a page of GET /docs is looked at, whatever is on it.

import { readFileSync } from "node:fs";

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

export const ready = (page) => page.waitForSelector("html[data-ready]");

// In one scheme of colours: what axe-core finds that is serious, and by how many pixels the page is wider than the screen.
export const judged = async (page, colorScheme) => {
  await page.evaluate(AXE);
  await page.emulateMedia({ colorScheme });
  await page.waitForFunction(
    (wanted) => document.documentElement.classList.contains("dark-mode") === wanted,
    colorScheme === "dark",
  );
  // The page fades from one scheme's colours to the other's.
  await page.waitForFunction(() =>
    document.getAnimations().every((each) => !(each instanceof CSSTransition) || each.playState !== "running"),
  );
  const found = await page.evaluate(async () =>
    (await axe.run({ resultTypes: ["violations"] })).violations
      .filter((each) => ["critical", "serious"].includes(each.impact))
      .flatMap((each) => each.nodes.map((node) => [each.id, node.target.join(" "), node.failureSummary])),
  );
  return { found, wider: await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth) };
};

// For each phrase, the operations that the page's search leaves visible, and the number that it tells.
export const searched = async (page, phrases) => {
  const results = {};
  for (const phrase of phrases) {
    await page.fill("#search", phrase);
    const shown = page.locator(".opblock:visible").evaluateAll((all) => all.map((each) => each.id.split("-").at(-1)));
    results[phrase] = [await shown, await page.textContent("#found")];
  }
  return results;
};

// Whether the title of what is linked to is seen, from its upper edge to its lower.
export const linked = (page) =>
  page.evaluate(() => {
    const [group, operation] = location.hash.replace(/^#\/?/, "").split("/");
    const place = operation ? `operations-${group}-${operation}` : `operations-tag-${group}`;
    const named = document.getElementById(place) ?? document.getElementById(group);
    const title = named.querySelector(".opblock-summary-control") ?? named;
    const { x, y, width, height } = title.getBoundingClientRect();
    const points = [y + 1, y + height / 2, y + height - 1].map((at) => document.elementFromPoint(x + width / 2, at));
    return points.every((point) => point !== null && title.contains(point));
  });
