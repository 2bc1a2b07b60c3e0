/** Codes as people read and type them: Crockford's base 32, where O is 0 and I and L are 1. */
const plain = (text: string): string => text.toUpperCase().replace(/[^0-9A-Z]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");

/** `7k3m9qxzc` → `7K3M-9QXZ-C`, `7k3m9qxz` → `7K3M-9QXZ`; anything longer or shorter only loses what is no letter or digit. */
export function grouped(text: string): string {
  const code = plain(text);
  return code.length === 8 || code.length === 9 ? (code.match(/.{1,4}/g) ?? []).join("-") : code;
}
/** Whether it is as long as a board's fingerprint. */
export const isFingerprint = (text: string): boolean => plain(text).length === 8;
