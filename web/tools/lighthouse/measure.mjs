// Measures a running platform's pages as a phone and as a desk, and fails where one is slower or less accessible than we
// promise. The median of three counts; on a machine that does other things too it says more about those.
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const [url = "http://127.0.0.1:18000", chromium] = process.argv.slice(2);
const PAGES = ["/", "/markets", "/trade/BTC-USD", "/sign-up"];
const RUNS = 3;
const FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
];
const DEVICES = [
    { name: "phone", config: undefined, lcp: 2_500 },
    { name: "desk", config: desktopConfig, lcp: 1_000 },
];
const TBT_MS_MAX = 300;
const CLS_MAX = 0.02;

const median = (values) => values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];

async function measure(address, config) {
    const chrome = await launch({ chromePath: chromium, chromeFlags: FLAGS });
    try {
        const { lhr } = await lighthouse(address, { port: chrome.port, logLevel: "silent" }, config);
        const figure = (audit) => lhr.audits[audit].numericValue;
        return {
            lcp: figure("largest-contentful-paint"),
            tbt: figure("total-blocking-time"),
            cls: figure("cumulative-layout-shift"),
            accessibility: lhr.categories.accessibility.score * 100,
            practices: lhr.categories["best-practices"].score * 100,
        };
    } finally {
        chrome.kill();
    }
}

let missed = 0;
for (const { name, config, lcp } of DEVICES) {
    for (const page of PAGES) {
        const runs = [];
        // One after another: two at once would measure each other.
        // oxlint-disable-next-line no-await-in-loop
        for (let run = 0; run < RUNS; run += 1) runs.push(await measure(`${url}${page}`, config));
        const middle = (figure) => median(runs.map((run) => run[figure]));
        const rows = [
            ["LCP ms", Math.round(middle("lcp")), (value) => value <= lcp],
            ["TBT ms", Math.round(middle("tbt")), (value) => value <= TBT_MS_MAX],
            ["CLS", Number(middle("cls").toFixed(4)), (value) => value <= CLS_MAX],
            ["accessibility", middle("accessibility"), (value) => value === 100],
            ["best practices", middle("practices"), (value) => value === 100],
        ];
        missed += rows.filter(([, value, holds]) => !holds(value)).length;
        const text = rows.map(([what, value, holds]) => `${what} ${value}${holds(value) ? "" : " MISSED"}`).join(", ");
        console.log(`${name} ${page}: ${text}`);
    }
}
process.exitCode = missed > 0 ? 1 : 0;
