// Builds the page: one HTML file with all scripts and styles inside, and ONNX Runtime's wasm beside
// it, compressed. `node build.mjs` writes both into the Python package.
import { readFile, mkdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const out = new URL("../keras_rawaudio_serving/web/", import.meta.url);
const wasm = "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm";

async function script(entry, format, define = {}) {
  const done = await build({
    entryPoints: [`src/${entry}`],
    bundle: true,
    write: false,
    format,
    target: "es2022",
    minify: true,
    charset: "utf8",
    legalComments: "none",
    define,
    logLevel: "warning",
  });
  return done.outputFiles[0].text;
}

const quoted = JSON.stringify;
// The workers are no modules: a page on a disk may not start those.
const main = await script("main.ts", "esm", {
  WORKER_CODE: quoted(await script("worker.ts", "iife", { "import.meta.url": "self.location.href" })),
  WORKLET_CODE: quoted(await script("worklet.ts", "iife")),
});
const parts = {
  "/* style.css */": await readFile("src/style.css", "utf8"),
  // HTML must not see the end of the script in a string.
  "/* main.ts */": main.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--"),
};
let page = await readFile("src/index.html", "utf8");
for (const [place, text] of Object.entries(parts)) {
  if (!page.includes(place)) throw new Error(`src/index.html lacks ${place}`);
  page = page.replace(place, () => text);
}
await mkdir(out, { recursive: true });
await writeFile(new URL("index.html", out), page);
await writeFile(new URL("ort.wasm.gz", out), gzipSync(await readFile(wasm), { level: 9 }));
