import { PageError } from "./errors";

/**
 * The bytes of a file that belongs to the page: inside it, in a page made to be sent to somebody,
 * or beside it on the server.
 *
 * @param name "ort.wasm.gz" or "generator.onnx".
 * @returns null where there is no such file.
 */
export async function asset(name: string): Promise<ArrayBuffer | null> {
  const inside = document.getElementById(name)?.textContent;
  if (inside) return gunzip(decoded(inside));
  if (location.protocol === "file:") return null;
  const answer = await fetch(name).catch(() => null);
  if (!answer?.ok) return null;
  return name.endsWith(".gz") ? gunzip(await answer.arrayBuffer()) : answer.arrayBuffer();
}

/** ONNX Runtime, without which nothing plays. */
export async function runtime(): Promise<ArrayBuffer> {
  const found = await asset("ort.wasm.gz");
  if (found) return found;
  throw new PageError(
    location.protocol === "file:"
      ? "A browser does not let a page on disk read the file beside it: open it with keras-rawaudio-generate FILE --web."
      : "The file ort.wasm.gz is not beside this page: build the page again with make web.",
  );
}

async function gunzip(bytes: BufferSource): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function decoded(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
