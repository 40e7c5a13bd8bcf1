"use strict";

// API Gateway also serves the page at an address with a slash at the end, where relative addresses would fail.
if (location.pathname.endsWith("/")) {
  history.replaceState(null, "", location.pathname.replace(/\/+$/, "") + location.search + location.hash);
}

const root = document.documentElement;
// A tab's storage, and a device's. Private windows of some browsers forbid both; the page then works without.
const storage = (named) => ({
  get: (name) => { try { return window[named].getItem(name); } catch { return null; } },
  set: (name, value) => { try { window[named].setItem(name, value); } catch { /* see above */ } },
  remove: (name) => { try { window[named].removeItem(name); } catch { /* see above */ } },
});
const tab = storage("sessionStorage");
const device = storage("localStorage");

// ---------------------------------------------------------------- light and dark

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const wanted = device.get("atrium-theme");
  root.classList.toggle("dark-mode", wanted ? wanted === "dark" : dark.matches);
};
dark.addEventListener("change", paint);
document.getElementById("theme").addEventListener("click", () => {
  device.set("atrium-theme", root.classList.contains("dark-mode") ? "light" : "dark");
  paint();
});
paint();

// ---------------------------------------------------------------- one dialect or both

const buttons = [...document.querySelectorAll("button[data-show]")];
const show = (dialect) => {
  document.body.dataset.show = dialect;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === dialect));
};
for (const button of buttons) {
  button.addEventListener("click", () => {
    show(button.dataset.show);
    device.set("atrium-dialect", button.dataset.show);
    count();
  });
}
const before = device.get("atrium-dialect");
show(buttons.some((button) => button.dataset.show === before) ? before : "all");
const isShown = (tag) => {
  const dialect = tag.split("-")[0];
  return document.body.dataset.show === "all" || !["flat", "v1"].includes(dialect) || dialect === document.body.dataset.show;
};

// ---------------------------------------------------------------- links into the page

// #/flat-tasks is a group, #/flat-tasks/get_task an operation, anything else the id of a section.
const target = () => /^#\/([^/]+)(?:\/([^/]+))?$/.exec(decodeURIComponent(location.hash))?.slice(1) ?? [];
// A link into the other dialect shows that dialect; the choice for the next visit stays.
const reveal = () => {
  const [group] = target();
  if (group && !isShown(group)) show(group.split("-")[0]);
};
const follow = () => {
  reveal();
  const [group, operation] = target();
  if (!group) {
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
    return;
  }
  window.ui.layoutActions.parseDeepLinkHash(location.hash);
  document.getElementById(operation ? `operations-${group}-${operation}` : `operations-tag-${group}`)?.scrollIntoView();
};
reveal();
window.addEventListener("hashchange", follow);

// ---------------------------------------------------------------- the list at the side

const section = (title, links, dialect = "") => {
  const made = document.createElement("section");
  made.dataset.dialect = dialect;
  if (title) made.append(Object.assign(document.createElement("h2"), { textContent: title }));
  for (const [href, textContent] of links) made.append(Object.assign(document.createElement("a"), { href, textContent }));
  return made;
};
const list = (sections, groups) => {
  const links = (prefix) =>
    groups
      .filter((group) => (prefix ? group.startsWith(prefix) : !/^(flat|v1)-/.test(group)))
      .map((group) => [`#/${group}`, group.slice(prefix.length).replace(/^./, (letter) => letter.toUpperCase())]);
  document.getElementById("groups").replaceChildren(
    section("Guide", sections, "guide"),
    section("Flat", links("flat-"), "flat"),
    section("v1", links("v1-"), "v1"),
    section("", links("")),
  );
};

// ---------------------------------------------------------------- search

const search = document.getElementById("search");
const count = () => {
  const groups = search.value.trim() ? window.ui.specSelectors.taggedOperations() : null;
  const found = groups?.reduce((sum, group, name) => sum + (isShown(name) ? group.get("operations").size : 0), 0);
  document.body.toggleAttribute("data-searching", found !== undefined);
  document.getElementById("found").textContent = found === undefined ? "" : found === 1 ? "1 operation" : `${found} operations`;
};
search.addEventListener("input", () => {
  window.ui.layoutActions.updateFilter(search.value.trim());
  count();
});
// An operation matches if its texts contain every word.
const matches = (group, phrase) => (operation) => {
  const said = ["summary", "description", "operationId"].map((name) => operation.getIn(["operation", name], ""));
  const text = [group, operation.get("method"), operation.get("path"), ...said].join(" ").toLowerCase();
  return phrase.toLowerCase().split(/\s+/).every((word) => text.includes(word));
};
const narrowed = (groups, phrase) =>
  groups
    .map((group, name) => group.update("operations", (all) => all.filter(matches(name, phrase))))
    .filter((group) => group.get("operations").size);

// ---------------------------------------------------------------- credentials

// A tab keeps the credential until it is closed. The device keeps it only on request.
const CREDENTIAL = "atrium-credential";
// Earlier versions of this page kept the credential there without a request.
device.remove("authorized");
const credential = {
  use: (name, value) => {
    const schema = window.ui.specSelectors.securityDefinitions()?.get(name);
    if (!schema) return;
    window.ui.authActions.restoreAuthorization({ authorized: { [name]: { name, schema, value } } });
    tab.set(CREDENTIAL, JSON.stringify([name, value]));
  },
  keep: (wished) => {
    const known = tab.get(CREDENTIAL);
    if (wished && known) device.set(CREDENTIAL, known);
    else device.remove(CREDENTIAL);
  },
  isKept: () => device.get(CREDENTIAL) !== null,
  forget: () => {
    window.ui.authActions.restoreAuthorization({ authorized: {} });
    tab.remove(CREDENTIAL);
    device.remove(CREDENTIAL);
  },
  recall: () => {
    const known = tab.get(CREDENTIAL) ?? device.get(CREDENTIAL);
    if (known) credential.use(...JSON.parse(known));
  },
};

const authorizationPopup = ({ React: { createElement: h, useId, useLayoutEffect, useRef, useState } }) =>
  function Credentials({ authActions, authSelectors, specSelectors }) {
    const dialog = useRef(null);
    const id = useId();
    const given = authSelectors.authorized()?.keySeq().first();
    const schemes = specSelectors.securityDefinitions();
    const [name, choose] = useState(given ?? schemes.keySeq().first());
    const [value, type] = useState("");
    const [kept, keep] = useState(credential.isKept());
    // The browser's own modal dialog: Escape closes it, the rest of the page is inert, and the focus returns.
    useLayoutEffect(() => {
      const opened = dialog.current;
      opened.showModal();
      return () => opened.close();
    }, []);
    const close = () => authActions.showDefinitions(false);
    const button = (text, more) => h("button", { type: "button", className: "btn", ...more }, text);
    const scheme = (each) =>
      h(
        "label",
        { key: each },
        h("input", { type: "radio", name: "scheme", value: each, checked: each === name, onChange: () => choose(each) }),
        h("code", null, schemes.getIn([each, "name"]) ?? "Authorization: Bearer"),
      );
    const submit = (event) => {
      event.preventDefault();
      credential.use(name, value.trim());
      credential.keep(kept);
      close();
    };
    const changeKept = (event) => {
      keep(event.target.checked);
      credential.keep(event.target.checked);
    };
    return h(
      "dialog",
      { ref: dialog, className: "credentials", "aria-labelledby": id, onClose: close },
      h("h2", { id }, "Authorize"),
      h(
        "form",
        { onSubmit: submit },
        h("fieldset", null, h("legend", null, "Send the secret as"), ...schemes.keySeq().map(scheme)),
        h("p", null, worded(h, schemes.getIn([name, "description"], ""))),
        h(
          "label",
          { className: "secret" },
          "Token or key",
          h("input", {
            type: "password", autoComplete: "off", spellCheck: false, required: true, autoFocus: true, value,
            onChange: (event) => type(event.target.value),
          }),
        ),
        h(
          "label",
          null,
          h("input", { type: "checkbox", checked: kept, onChange: changeKept }),
          "Keep it on this device, not for this tab only",
        ),
        h(
          "div",
          { className: "choices" },
          h("button", { type: "submit", className: "btn authorize" }, "Authorize"),
          given ? button("Log out", { onClick: () => { credential.forget(); close(); } }) : null,
          button("Close", { className: "btn cancel", onClick: close }),
        ),
      ),
    );
  };

// ---------------------------------------------------------------- samples

// A sample never contains a credential, but the name of an environment variable.
const SECRETS = { authorization: ["Bearer ", "ATRIUM_TOKEN"], "x-api-key": ["", "ATRIUM_KEY"] };
const python = (value, indent) => {
  const inner = `${indent}    `;
  const block = (open, each, close) => (each.length ? `${open}\n${each.map((line) => `${inner}${line},\n`).join("")}${indent}${close}` : open + close);
  if (Array.isArray(value)) return block("[", value.map((each) => python(each, inner)), "]");
  if (value !== null && typeof value === "object") {
    return block("{", Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each, inner)}`), "}");
  }
  return { true: "True", false: "False", null: "None" }[value] ?? JSON.stringify(value);
};
// The value of a header in a program: `variable` spells the one of an environment variable, `fresh` that of a new key.
const headerIn = (variable, fresh) => ([name, value]) => {
  const [scheme, secret] = SECRETS[name.toLowerCase()] ?? [];
  if (secret) return `"${name}": ${scheme ? `"${scheme}" + ` : ""}${variable(secret)},`;
  return `"${name}": ${value === null ? fresh : JSON.stringify(value)},`;
};
const pythonHeader = headerIn((secret) => `os.environ["${secret}"]`, "str(uuid.uuid4())");
const javascriptHeader = headerIn((secret) => `process.env.${secret}`, "crypto.randomUUID()");
const parsed = (body) => { try { return JSON.parse(body); } catch { return undefined; } };
// A request is {method, url, headers: [[name, value]], body}. The body is text; null stands for a new Idempotency-Key.
const LANGUAGES = {
  curl: ({ method, url, headers, body }) => {
    const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const header = (name, value) => {
      const [scheme, secret] = SECRETS[name.toLowerCase()] ?? [];
      if (secret) return `"${name}: ${scheme}$${secret}"`;
      return value === null ? `"${name}: $(uuidgen)"` : quoted(`${name}: ${value}`);
    };
    const lines = [`curl${method === "GET" ? "" : ` -X ${method}`} ${quoted(url)}`];
    for (const [name, value] of headers) lines.push(`-H ${header(name, value)}`);
    if (body) lines.push(`-d ${quoted(JSON.stringify(parsed(body)) ?? body)}`);
    return lines.join(" \\\n  ");
  },
  Python: ({ method, url, headers, body }) => {
    const isNew = headers.some(([, value]) => value === null);
    const json = parsed(body);
    const sent = body ? [json === undefined ? `data=${JSON.stringify(body)}` : `json=${python(json, "    ")}`] : [];
    const given = headers.map((header) => `        ${pythonHeader(header)}\n`).join("");
    return [
      "import os",
      ...(isNew ? ["import uuid"] : []),
      "",
      "import requests",
      "",
      `response = requests.${method.toLowerCase()}(`,
      `    "${url}",`,
      `    headers={\n${given}    },`,
      ...sent.map((each) => `    ${each},`),
      ")",
      "print(response.status_code, response.text)",
    ].join("\n");
  },
  JavaScript: ({ method, url, headers, body }) => {
    const json = parsed(body);
    const text = json === undefined ? JSON.stringify(body) : `JSON.stringify(${JSON.stringify(json, null, 2).replaceAll("\n", "\n  ")})`;
    return [
      `const response = await fetch("${url}", {`,
      `  method: "${method}",`,
      "  headers: {",
      ...headers.map((header) => `    ${javascriptHeader(header)}`),
      "  },",
      ...(body ? [`  body: ${text},`] : []),
      "});",
      "console.log(response.status, await response.text());",
    ].join("\n");
  },
};
// An operation of the document with its examples, as a request.
const example = (operation, method, path) => {
  const parameters = operation.get("parameters")?.toJS() ?? [];
  const values = Object.fromEntries(parameters.map((each) => [each.name, each.example]));
  const place = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? `<${name}>`));
  const body = operation.getIn(["requestBody", "content", "application/json", "example"]);
  const headers = operation.get("security")?.isEmpty() ? [] : [["Authorization", ""]];
  if (body) headers.push(["Content-Type", "application/json"]);
  if ("Idempotency-Key" in values) headers.push(["Idempotency-Key", null]);
  return {
    method: method.toUpperCase(),
    url: new URL(`.${place}`, location.href).href,
    headers,
    body: body ? JSON.stringify(body.toJS?.() ?? body) : "",
  };
};

// Text with `code` in it.
const worded = (h, text) => text.split("`").map((part, at) => (at % 2 ? h("code", { key: at }, part) : part));

const Copy = ({ React: { createElement: h, useState } }) =>
  function CopyButton({ text }) {
    const [copied, note] = useState(false);
    const copy = () => navigator.clipboard.writeText(text).then(() => note(true), () => note(false));
    return h("button", { type: "button", className: "copy", onClick: copy }, copied ? "Copied" : "Copy");
  };

const Samples = ({ React: { createElement: h, useState } }) =>
  function SamplesOf({ request, getComponent }) {
    const [language, choose] = useState(device.get("atrium-language") in LANGUAGES ? device.get("atrium-language") : "curl");
    const text = LANGUAGES[language](request);
    const change = (each) => {
      choose(each);
      device.set("atrium-language", each);
    };
    const button = (each) =>
      h("button", { key: each, type: "button", "aria-pressed": each === language, onClick: () => change(each) }, each);
    return h(
      "div",
      { className: "samples" },
      h("div", { className: "switch", role: "group", "aria-label": "Language" }, ...Object.keys(LANGUAGES).map(button)),
      h(getComponent("Copy"), { key: language, text }),
      h("pre", null, h("code", null, text)),
    );
  };

// ---------------------------------------------------------------- Swagger UI, amended

const amended = (system) => {
  const { createElement: h, Fragment, useLayoutEffect, useRef, useState } = system.React;
  return {
    fn: { opsFilter: narrowed },
    components: {
      authorizationPopup: authorizationPopup(system),
      Copy: Copy(system),
      Samples: Samples(system),
      // A keyboard cannot use a link inside a button. The address is in the browser's bar once the operation is open.
      DeepLink: ({ text }) => h("span", null, text),
      CopyToClipboardBtn: () => null,
      TextArea: (props) => h("textarea", { "aria-label": "Request body", spellCheck: false, ...props }),
      curl: ({ request: sent, getComponent }) => {
        const { method, url, headers, body } = sent.toJS();
        const request = { method, url, headers: Object.entries(headers), body };
        return h(Fragment, null, h("h4", null, "What was sent"), h(getComponent("Samples"), { getComponent, request }));
      },
    },
    wrapComponents: {
      ExamplesSelect: (Original) => (props) => h("label", null, h(Original, props)),
      JsonSchemaForm: (Original) => (props) =>
        h("label", null, h("span", { className: "unseen" }, props.description), h(Original, props)),
      HighlightCode: (Original) => (props) =>
        h(Fragment, null, props.canCopy ? h(system.getComponent("Copy"), { text: props.children }) : null, h(Original, { ...props, canCopy: false })),
      operations: (Original) => (props) => (props.specSelectors.taggedOperations().size ? h(Original, props) : null),
      // The sections of the introduction can be linked to.
      InfoContainer: (Original) => (props) => {
        const info = useRef(null);
        useLayoutEffect(() => {
          const titles = [...info.current.querySelectorAll(".info h2:not(.title)")];
          for (const title of titles) title.id = title.textContent.toLowerCase().replace(/[^a-z0-9]+/g, "-");
          list(titles.map((title) => [`#${title.id}`, title.textContent]), props.specSelectors.tags().map((each) => each.get("name")).toJS());
          if (location.hash && !target().length) follow();
        }, []);
        return h("div", { ref: info }, h(Original, props));
      },
      responses: (Original) => (props) => {
        const { getComponent, method, path, specSelectors } = props;
        const operation = specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", path, method]);
        const title = h("div", { className: "opblock-section-header" }, h("h4", null, "Sample"));
        const samples = h(getComponent("Samples"), { getComponent, request: example(operation, method, path) });
        return h(Fragment, null, h("div", { className: "samples-wrapper" }, title, samples), h(Original, props));
      },
      // Most refusals are the same for every operation, so each takes one line, with its details on demand.
      response: (Original) => (props) => {
        const [open, toggle] = useState(false);
        if (props.code < "400") return h(Original, props);
        const details = h(
          "details",
          { onToggle: (event) => toggle(event.currentTarget.open) },
          h("summary", null, worded(h, props.response.get("description") ?? "")),
          open ? h("table", null, h("tbody", null, h(Original, props))) : null,
        );
        return h(
          "tr",
          { className: "refusal", "data-code": props.code },
          h("td", { className: "response-col_status" }, props.code),
          h("td", { className: "response-col_description", colSpan: 2 }, details),
        );
      },
    },
    statePlugins: {
      layout: {
        wrapActions: {
          // Swagger UI's own actions scroll the target below the bar, and read each hash as an operation's.
          scrollToElement: () => (element) => (element.firstElementChild ?? element).scrollIntoView(),
          parseDeepLinkHash: (_, { layoutActions }) => () => {
            const [group, operation] = target();
            if (!group) return;
            layoutActions.show(["operations-tag", group], true);
            if (operation) layoutActions.show(["operations", group, operation], true);
            layoutActions.scrollTo(operation ? ["operations", group, operation] : ["operations-tag", group]);
          },
        },
      },
    },
  };
};

// ---------------------------------------------------------------- the reference

window.ui = SwaggerUIBundle({
  // The document is beside this page: behind a stage, on an own domain, or on a laptop.
  url: new URL("openapi.json", location.href).href,
  domNode: document.getElementById("reference"),
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [amended],
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 4,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  showCommonExtensions: false,
  validatorUrl: null,
  onComplete: () => {
    document.getElementById("version").textContent = window.ui.specSelectors.info().get("version");
    credential.recall();
    root.dataset.ready = "true";
  },
});

// Swagger UI's own button is below a long introduction. This one is always visible, and tells whether a credential is set.
const enter = document.getElementById("enter");
enter.addEventListener("click", () => window.ui.authActions.showDefinitions(window.ui.authSelectors.definitionsToAuthorize()));
window.ui.getStore().subscribe(() => {
  enter.textContent = window.ui.authSelectors.authorized()?.size ? "Authorized" : "Authorize";
});
