/** What the sums of an indicator are of. */

/** Shares of a time: above and below the line are seconds. */
const SHARES_OF_TIME = ["device_on_rate"];

/** Whether the sum above and the one below the line are seconds. As in `indicators.toml`: hours and mean hours are made of seconds. */
export function secondsOf(indicator: { id: string; kind: string } | undefined): { num: boolean; den: boolean } {
  const share = SHARES_OF_TIME.includes(indicator?.id ?? "");
  return { num: share || indicator?.kind === "hours" || indicator?.kind === "mean_hours", den: share };
}
