// Starts Swagger UI on this server's own document. It is a file of its own because the page's
// Content-Security-Policy allows no inline script, and its paths are absolute because the page is
// served at /docs, without a trailing slash.
"use strict";

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
