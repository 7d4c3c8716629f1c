// Fails where a visitor would download more than we allow. Sizes are gzip, in bytes; 1 kB is 1,000 of them.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const SHELL_MAX = 100_000;
const TRADE_EXTRA_MAX = 100_000;
const CHUNK_MAX = 60_000;
const CSS_MAX = 15_000;

const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
const sizeOf = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;

/** The file of a chunk and of all that it imports; `lazily` follows what it loads later too, but not into the shell. */
function filesOf(name, { lazily }, seen = new Set()) {
    if (seen.has(name) || (lazily && manifest[name].isEntry)) return [];
    seen.add(name);
    const chunk = manifest[name];
    const next = [...(chunk.imports ?? []), ...(lazily ? (chunk.dynamicImports ?? []) : [])];
    return [chunk.file, ...next.flatMap((each) => filesOf(each, { lazily }, seen))];
}

function chunkNamed(part) {
    const found = Object.keys(manifest).find((name) => name.includes(part));
    if (found === undefined) throw new Error(`The build has no ${part}`);
    return found;
}

const total = (files) => [...new Set(files)].map(sizeOf).reduce((sum, size) => sum + size, 0);
const scripts = Object.values(manifest)
    .map(({ file }) => file)
    .filter((file) => file.endsWith(".js"));
const styles = new Set(Object.values(manifest).flatMap(({ css }) => css ?? []));
const shell = new Set(filesOf(chunkNamed("index.html"), { lazily: false }));
const trade = filesOf(chunkNamed("TradePage"), { lazily: true }).filter((file) => !shell.has(file));
// Each page alone: what one shares with another has to be in a file of its own, or strangers fetch a page they never open.
const pages = Object.keys(manifest).filter((name) => name.endsWith("Page.tsx"));
const featureOf = (name) => name.split("/").slice(0, 3).join("/");
const strayFiles = pages.flatMap((page) =>
    pages
        .filter((other) => featureOf(other) !== featureOf(page) && !shell.has(manifest[other].file))
        .filter((other) => filesOf(page, { lazily: false }).includes(manifest[other].file))
        .map((other) => `${page} fetches ${other}`),
);
const live = chunkNamed("_live-");
const firstVisit = (page) => [...shell, ...filesOf(live, { lazily: false }), ...filesOf(page, { lazily: true })];
const admin = Object.keys(manifest).filter((name) => name.includes("features/admin"));

const rows = [
    ["shell", total(shell), SHELL_MAX],
    ["trade route, extra", total(trade), TRADE_EXTRA_MAX],
    ...pages.map((page) => [
        `first visit to ${page}`,
        total(firstVisit(page)),
        SHELL_MAX + (page.includes("TradePage") ? TRADE_EXTRA_MAX : CHUNK_MAX),
    ]),
    ["styles", total(styles), CSS_MAX],
    ["admin code in this bundle", total(admin.map((name) => manifest[name].file)), 0],
    ...[...new Set(scripts)].filter((file) => !shell.has(file)).map((file) => [file, sizeOf(file), CHUNK_MAX]),
];

let broken = 0;
for (const [name, size, most] of rows) {
    const over = size > most;
    broken += over ? 1 : 0;
    console.log(`${over ? "OVER" : "ok  "} ${String(size).padStart(7)} of ${String(most).padStart(7)}  ${name}`);
}
for (const stray of strayFiles) console.log(`OVER ${stray}`);
process.exitCode = broken + strayFiles.length > 0 ? 1 : 0;
