// A headless browser that talks to this machine only, and remembers everything a page complains about.
import chromium from "@sparticuz/chromium";
import { type Browser, type BrowserContext, type Page, chromium as playwright } from "playwright-core";

const QUIET = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-domain-reliability",
  "--disable-sync",
  "--disable-client-side-phishing-detection",
  "--disable-features=OptimizationHints,MediaRouter,Translate,InterestFeedContentSuggestions",
  "--metrics-recording-only",
  "--no-first-run",
  "--no-pings",
  // Whatever still asks for another host is told that there is none.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/** The browser package holds a Linux x64 binary; elsewhere an installed Chrome does the same. */
export async function launchBrowser(): Promise<Browser> {
  const bundled = process.platform === "linux" && process.arch === "x64";
  const where = bundled ? { executablePath: await chromium.executablePath() } : { channel: "chrome" };
  const args = bundled ? chromium.args.filter((flag) => !/^--(single-process|headless)/.test(flag)) : [];
  return playwright.launch({ ...where, headless: true, args: [...args, ...QUIET], env: { ...process.env, NO_PROXY: "*" } });
}

export interface WatchedPage {
  page: Page;
  /** Console errors, uncaught exceptions, blocked or failed requests. */
  complaints: string[];
}

export async function watchedPage(context: BrowserContext): Promise<WatchedPage> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || /content security policy/i.test(message.text()))
      complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("requestfailed", (request) => {
    // A page that is left gives up what it was still asking.
    if (request.failure()?.errorText !== "net::ERR_ABORTED")
      complaints.push(`request: ${request.url()} ${request.failure()?.errorText}`);
  });
  return { page, complaints };
}
