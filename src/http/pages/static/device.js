// Names a device by its User-Agent. This is a guess, good enough for people to recognise their own devices.
const BROWSERS = [
  ["Edge", /\bEdg(?:e|A|iOS)?\//],
  ["Opera", /\bOPR\//],
  ["Samsung Internet", /\bSamsungBrowser\//],
  ["Firefox", /\b(?:Firefox|FxiOS)\//],
  ["Chrome", /(?:Chrome|CriOS|Chromium)\//],
  ["Safari", /\bSafari\//],
];
const SYSTEMS = [
  ["iPad", /\biPad\b/],
  ["iPhone", /\biPhone\b/],
  ["Android", /\bAndroid\b/],
  ["Windows", /\bWindows\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["macOS", /\bMac(?:intosh| OS)\b/],
  ["Linux", /\bLinux\b/],
];

const first = (list, agent) => list.find(([, pattern]) => pattern.test(agent))?.[0];

/** The key and the gaps of a text about the device. */
export function deviceOf(agent) {
  if (!agent) return ["device.unknown", {}];
  const browser = first(BROWSERS, agent);
  const system = first(SYSTEMS, agent);
  if (browser && system) return ["device.browser_on", { browser, system }];
  // A program: its name and version, such as "curl/8.14.1".
  const program = /^[\w.+-]{1,40}(?:\/[\w.+-]{1,20})?/.exec(agent)?.[0];
  const name = browser ?? system ?? program;
  return name ? ["device.program", { name }] : ["device.unknown", {}];
}
