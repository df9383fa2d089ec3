// Starts Swagger UI on this server's own document. It is a file of its own because the page's
// Content-Security-Policy allows no inline script, and its paths are absolute because the page is
// served at /docs, without a trailing slash.
"use strict";

// Swagger UI has dark colours of its own, under this class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  // By default the document's address is sent to a validator on another host.
  validatorUrl: null,
  // An access token typed into "Authorize" is forgotten with the page, not kept in local storage.
  persistAuthorization: false,
  // The refresh token lives in a cookie that only the browser can send.
  withCredentials: true,
});

// What Swagger UI leaves without a name for screen readers.
const NAMES = [
  [".information-container", "About this API"],
  [".scheme-container", "Server and authorization"],
  ["#servers", "Server"],
  [".body-param__text", "Request body"],
  [".response-controls select, .content-type", "Media type"],
  [".examples-select-element", "Example"],
  [".parameters-col_description input", (input) => input.closest("tr").dataset.paramName],
];
const REGIONS = ".information-container, .scheme-container";
// Its title is an h1, a tag below it an h3, a part of an operation an h4: the second level is left out.
const LEVELS = [["h3.opblock-tag, .models > h4", 2], [".opblock-body h4", 3], [".opblock-body h5", 4]];

function name() {
  const set = (selector, attribute, value) => {
    for (const found of document.querySelectorAll(`:is(${selector}):not([${attribute}])`)) {
      found.setAttribute(attribute, typeof value === "function" ? value(found) : value);
    }
  };
  set(REGIONS, "role", "region");
  for (const [selector, value] of NAMES) set(selector, "aria-label", value);
  for (const [selector, level] of LEVELS) set(selector, "aria-level", level);
  set("table.responses-table[role=region]", "aria-label", (table) => `Responses: ${table.id}`);
}

new MutationObserver(name).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
