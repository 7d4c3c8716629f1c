import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync, constants } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(js|css|html|svg|json)$/;
// Below this the headers weigh more than what is saved.
const BYTES_MIN = 600;

/** Leaves a .br and a .gz beside each text of the build: compressed once, as well as it can be, not at every request. */
export function precompress(): Plugin {
  let folder = "dist";
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isFile() || !TEXT.test(entry.name) || path.includes(".vite")) continue;
        const content = readFileSync(path);
        if (content.length < BYTES_MIN) continue;
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
        const best = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params: best }));
      }
    },
  };
}
