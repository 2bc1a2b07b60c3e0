/** What happened to a device, and one order to many. */
export default {
  deviceTab: { timeline: "Timeline" },
  timeline: {
    kinds: "Kinds", all: "All kinds", none: "Nothing yet", leftOut: "Left out, for want of the right to see it: {kinds}",
    kind: { event: "Device", command: "Command", state: "State", alert: "Alert", incident: "Incident", order: "Order", push: "Push", identity: "Identity", audit: "Person" },
    command: "{what}: {state}", order: { reboot: "Restart", notice: "Notice", test_bandwidth: "Line test", power_off: "Switch off", screen: "Screen", volume: "Volume", lock: "Lock playing", unlock: "Unlock playing", collect_logs: "Collect log", unknown: "Another command" }, state: "{state} ({why})",
    raised: "Alert: {rule}", cleared: "Alert cleared: {rule}", lost: "Part of incident {number} ({severity})", back: "Back, incident {number} ({severity})", orderStep: "Order {number}: {step}",
    pushNo: "{what}: push {number}", pushOf: "{what}: push {number}, {count} lessons", pushed: { pushed: "Lessons pushed", arrived: "Lessons arrived", withdrawn: "Push withdrawn" },
    identity: { enrolled: "Enrolled", replaced: "Replaced by another device", revoked: "Revoked", stolen: "Reported stolen", unlocked: "No longer stolen", renewed: "Certificate renewed", copied: "A copied disk", copy_decided: "Copied disk decided", warned: "Something odd about who it is" },
    audit: "{what} ({outcome})",
  },
  bulk: {
    tooMany: "At most {most} at once; narrow the list first", test_bandwidth: "Line test",
    title: { notice: "A notice to the selected devices", reboot: "Restart the selected devices", test_bandwidth: "Test the lines of the selected devices' schools", power_off: "Switch off the selected devices", screen: "Screens of the selected devices", volume: "Volume of the selected devices", lock: "Lock playing on the selected devices", unlock: "Unlock playing on the selected devices" },
    rebootText: "Where a lesson is going on the picture is away for about a minute.", testText: "Each school once; where several boards are needed the console picks them. Never during an exam.", forced: "Also in class hours (may disturb lessons)",
    unlockText: "They play again as before.", check: "See which classrooms", sums: "{devices} devices in {classrooms} classrooms of {schools} schools, {online} online", away: "{count} are not online: they do it when they come, until it expires.",
    rooms: "{count} classrooms", moreRooms: "{count} more", allRooms: "List all {count} classrooms", skipped: "{count} more will not do it: {why}",
    confirm: { notice: "Send to {classrooms} classrooms", reboot: "Restart {devices} devices in {classrooms} classrooms", test_bandwidth: "Start the tests", power_off: "Switch off {devices} devices in {classrooms} classrooms", screen: "Do it in {classrooms} classrooms", volume: "Do it in {classrooms} classrooms", lock: "Lock {devices} devices in {classrooms} classrooms", unlock: "Unlock {devices} devices in {classrooms} classrooms" },
    done: "Ordered on {count} devices; see “Commands” of each for what becomes of it", result: "Result", results: { ready: "Would do it", queued: "Ordered" },
  },
  bulkReason: {
    not_found: "No such device", revoked: "Revoked", stolen: "Reported stolen", replaced: "Replaced", not_allowed: "Not allowed", console_failed: "The console failed; try again", device_cannot: "The board has no way to, or its agent is older", class_hours: "Class hours", exam: "An exam",
    no_board: "No board to do it", running: "Already running", busy: "Already running",
  },
};
