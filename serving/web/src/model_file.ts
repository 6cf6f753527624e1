import { PageError } from "./errors";

const METADATA_PROPS = 14; // of ModelProto: string key = 1, string value = 2
const GRAPH = 7;

type Field = { number: number; bytes: Uint8Array | null };

/**
 * Read an ONNX file's `metadata_props`, which ONNX Runtime Web does not show.
 *
 * @param data the whole file.
 * @returns key to text.
 * @throws PageError where the bytes are no ONNX file.
 */
export function metadataProps(data: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  const text = new TextDecoder("utf-8", { fatal: true });
  let graphs = 0;
  try {
    for (const { number, bytes } of fields(data)) {
      if (number === GRAPH && bytes) graphs++;
      if (number !== METADATA_PROPS || !bytes) continue;
      const entry = ["", ""];
      for (const part of fields(bytes)) {
        if (part.bytes && (part.number === 1 || part.number === 2)) {
          entry[part.number - 1] = text.decode(part.bytes);
        }
      }
      found.set(entry[0], entry[1]);
    }
  } catch {
    graphs = 0;
  }
  if (graphs !== 1) throw new PageError("This is not an ONNX file, or it is damaged.");
  return found;
}

/** Fields of a protobuf message; bytes of the length-delimited ones, null for the others. */
function* fields(data: Uint8Array): Generator<Field> {
  let place = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      if (place >= data.length) throw new RangeError("cut off");
      const byte = data[place++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("a varint that does not end");
  };
  while (place < data.length) {
    const tag = varint();
    const wireType = tag % 8;
    let bytes: Uint8Array | null = null;
    if (wireType === 0) varint();
    else if (wireType === 1) place += 8;
    else if (wireType === 5) place += 4;
    else if (wireType === 2) {
      const size = varint();
      bytes = data.subarray(place, place + size);
      place += size;
    } else throw new RangeError("a group");
    if (place > data.length || tag < 8) throw new RangeError("cut off");
    yield { number: Math.floor(tag / 8), bytes };
  }
}
