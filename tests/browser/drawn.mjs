// Looks at screenshots of GET /docs for text that is really drawn: on a desktop and a phone, light and dark. Prints as
// JSON, for each screen and each text on it, the fonts that it is drawn with and its ink: the share of the text's box
// that looks otherwise when the text is transparent. Arguments: the API's base URL, a folder for the screenshots if
// they are wanted.

import { launch, open } from "./browser.mjs";

const [base, folder] = process.argv.slice(2);
const SCREENS = { desktop: { width: 1360, height: 900 }, phone: { width: 390, height: 844 } };
const TEXTS = {
  title: ".info .title",
  group: ".opblock-tag > span",
  method: ".opblock-summary-method",
  path: ".opblock-summary-path > span",
  summary: ".opblock-summary-description",
  button: "#enter",
};
const TRANSPARENT = "* { -webkit-text-fill-color: transparent !important }";
// Of the three colours' sum of differences, 0 to 765: as much as an eye sees at once.
const SEEN = 150;

const browser = await launch();
const drawn = {};
try {
  // Without the page's content security policy, which forbids it to look at pictures.
  const viewer = await open(browser);
  const share = (one, other) =>
    viewer.evaluate(
      async ([pictures, seen]) => {
        const [one, other] = await Promise.all(
          pictures.map(async (picture) => {
            const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
            const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
            context.drawImage(bitmap, 0, 0);
            return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
          }),
        );
        const difference = (at) => [0, 1, 2].reduce((sum, colour) => sum + Math.abs(one[at + colour] - other[at + colour]), 0);
        let inked = 0;
        for (let at = 0; at < one.length; at += 4) inked += difference(at) >= seen;
        return inked / (one.length / 4);
      },
      [[one, other].map((picture) => picture.toString("base64")), SEEN],
    );

  const page = await open(browser);
  await page.goto(`${base}/docs/`); // API Gateway serves it with a slash too
  await page.waitForSelector("html[data-ready]");
  const tools = await page.context().newCDPSession(page);
  await tools.send("DOM.enable");
  await tools.send("CSS.enable");
  const { root } = await tools.send("DOM.getDocument");
  const fonts = async (selector) => {
    const { nodeId } = await tools.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    const used = await tools.send("CSS.getPlatformFontsForNode", { nodeId });
    return [...new Set(used.fonts.map((font) => font.familyName))];
  };
  const picture = (text) => text.screenshot({ animations: "disabled" });
  const ink = async (text) => {
    // Without a font it has no box.
    if (!(await text.isVisible())) return 0;
    const shown = await picture(text);
    const style = await page.addStyleTag({ content: TRANSPARENT });
    const blank = await picture(text);
    await style.evaluate((element) => element.remove());
    return share(shown, blank);
  };

  for (const [screen, viewport] of Object.entries(SCREENS)) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      if (folder) await page.screenshot({ path: `${folder}/${screen}-${colorScheme}.png` });
      const texts = (drawn[`${screen} ${colorScheme}`] = {});
      for (const [name, selector] of Object.entries(TEXTS)) {
        const text = page.locator(selector).first();
        texts[name] = { text: (await text.innerText()).trim(), fonts: await fonts(selector), ink: await ink(text) };
      }
    }
  }
} finally {
  await browser.close();
  console.log(JSON.stringify(drawn));
}
