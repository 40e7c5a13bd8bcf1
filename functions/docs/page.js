"use strict";

const root = document.documentElement;
// Private windows of some browsers forbid it.
const kept = {
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* not kept, then */ } },
};

// ---------------------------------------------------------------- light and dark

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const wanted = kept.get("atrium-theme");
  root.classList.toggle("dark-mode", wanted ? wanted === "dark" : dark.matches);
};
dark.addEventListener("change", paint);
document.getElementById("theme").addEventListener("click", () => {
  kept.set("atrium-theme", root.classList.contains("dark-mode") ? "light" : "dark");
  paint();
});
paint();

// ---------------------------------------------------------------- one dialect or both

const buttons = [...document.querySelectorAll("button[data-show]")];
const show = (dialect) => {
  document.body.dataset.show = dialect;
  kept.set("atrium-dialect", dialect);
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === dialect));
};
for (const button of buttons) button.addEventListener("click", () => show(button.dataset.show));
const before = kept.get("atrium-dialect");
show(buttons.some((button) => button.dataset.show === before) ? before : "all");

// ---------------------------------------------------------------- the list of groups

const list = (tags) => {
  const side = document.getElementById("side");
  const groups = [["flat", "Flat", "flat-"], ["v1", "v1", "v1-"], ["", "", ""]];
  const rest = [...tags];
  for (const [dialect, title, prefix] of groups) {
    const own = rest.filter((tag) => tag.name.startsWith(prefix));
    rest.splice(0, rest.length, ...rest.filter((tag) => !own.includes(tag)));
    const section = document.createElement("section");
    section.dataset.dialect = dialect;
    if (title) section.append(Object.assign(document.createElement("h2"), { textContent: title }));
    for (const tag of own) {
      const link = document.createElement("a");
      link.href = `#/${tag.name}`;
      link.textContent = tag.name.slice(prefix.length).replace(/^./, (letter) => letter.toUpperCase());
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const heading = document.getElementById(`operations-tag-${tag.name}`);
        if (heading.dataset.isOpen === "false") heading.click();
        heading.scrollIntoView({ block: "start" });
        history.replaceState(null, "", link.href);
      });
      section.append(link);
    }
    side.append(section);
  }
};

// ---------------------------------------------------------------- the reference

// Beside this page, wherever that is: behind a stage, on a domain of one's own, on a laptop.
const address = new URL("openapi.json", location.href).href;
window.ui = SwaggerUIBundle({
  url: address,
  domNode: document.getElementById("reference"),
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 4,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  showCommonExtensions: false,
  validatorUrl: null,
  onComplete: () => {
    const document_ = window.ui.specSelectors.specJson().toJS();
    document.getElementById("version").textContent = document_.info.version;
    list(document_.tags);
    root.dataset.ready = "true";
  },
});

// Its own button is below a long introduction; this one is always there, and says whether a credential is set.
const enter = document.getElementById("enter");
enter.addEventListener("click", () => document.querySelector(".schemes .auth-wrapper > .authorize").click());
window.ui.getStore().subscribe(() => {
  enter.textContent = window.ui.authSelectors.authorized()?.size ? "Authorized" : "Authorize";
});
