/** What a technician carries away: a file, or a zip that unpacks to the right folders of a USB disk. */

import { strToU8, zipSync } from "fflate";

export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** `files`: path on the disk → the JSON that goes there. */
export function zipOf(files: Record<string, unknown>): Uint8Array<ArrayBuffer> {
  return zipSync(Object.fromEntries(Object.entries(files).map(([path, body]) => [path, strToU8(JSON.stringify(body))]))) as Uint8Array<ArrayBuffer>;
}
export function saveDisk(name: string, files: Record<string, unknown>): void {
  saveBlob(name, new Blob([zipOf(files)], { type: "application/zip" }));
}
