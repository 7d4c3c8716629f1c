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
const admin = Object.keys(manifest).filter((name) => name.includes("features/admin"));

const rows = [
    ["shell", total(shell), SHELL_MAX],
    ["trade route, extra", total(trade), TRADE_EXTRA_MAX],
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
process.exitCode = broken > 0 ? 1 : 0;
