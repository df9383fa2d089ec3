// Values of `return_to` for .ci/return_to.mjs and .ci/pages_return.mjs.

/** Origins that the server lists beside that of the app. */
export const LISTED = ["https://app.example.org", "capacitor://localhost"];

/** Values that lead to an app that is listed. */
export const GOOD = ["https://app.example.org", "https://APP.example.org/x", "https://app.example.org?x", "capacitor://localhost/x"];

/** Values that must lead nowhere; `app` is an origin of http that is listed, with a port. */
export function hostile(app) {
  const { host } = new URL(app);
  return [
    ...["//evil.example", "///evil.example", "\\\\evil.example", "/\\evil.example", "/account", "x", ""],
    ...["https:evil.example", "https:/evil.example", "https:\\\\evil.example", "https://evil.example", " https://evil.example"],
    ...[`http://${host}@evil.example/`, `http://${host}:80@evil.example`, `http://user:pw@${host}/`, `http://@${host}/`],
    ...[`http://evil.example#${app}`, `http://evil.example?${app}`, `${app}.evil.example/`, `${app}0/`, `${app}\\@evil.example`],
    ...[`${app}%2eevil.example/`, `${app}%40evil.example/`, app.replace(/:(\d+)$/, "%3A$1"), app.replace("http", "https")],
    ...["javascript:alert(1)", `javascript://${host}/%0aalert(1)`, `JavaScript://${host}/%0Aalert(1)`, "vbscript:x", "about:blank"],
    ...["data:text/html,x", `blob:${app}/x`, "file:///etc/passwd", `view-source:${app}/`, `filesystem:${app}/x`],
    ...[`\t${app}/`, ` ${app}/`, `${app}/\n`, `ht\ntp://${host}/`, `${app}/\u0000`, `${app}/\u202e`, `${app}/<script>`],
    ...[app.replace("localhost", "ⅼocalhost"), app.replace("localhost", "localhost。evil"), app.replace("localhost", "LOCALHOST.")],
    ...[app.replace("localhost", "127.0.0.1"), app.replace("localhost", "[::1]"), app.replace("localhost", "xn--localhost-")],
    ...["https://app.example.org:443/", "https://app.example.org./", "https://xn--app-.example.org"],
    ...["intent://app.example.org#Intent;scheme=https;end", `${app}/${"x".repeat(2000)}`],
  ];
}
