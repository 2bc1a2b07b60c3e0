/** Whether an address that a board told is one to follow: a link to anything else (`javascript:`, `data:`) is only text. */
export function isWeb(url: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
