import type zhCN from "../zh-CN/reports";

/** Reports, registers, indicators, the data catalogue. */
const en: typeof zhCN = {
  page: { reports: "Reports", report: "Report", reportPreview: "Running time", registers: "Registers" },
  right: { reports: { read: "See reports, registers and the data catalogue", write: "Make, submit and correct reports", review: "Approve, return and freeze reports" } },
  reportKind: { month: "Monthly", quarter: "Quarterly", year: "Yearly" },
  reportName: { month: "Monthly report {year}-{month}", quarter: "Quarterly report {year} Q{quarter}", year: "Yearly report {year}" },
  reportState: { draft: "Draft", submitted: "Submitted", returned: "Returned", approved: "Approved", frozen: "Frozen" },
  reportStep: { made: "Made", corrected: "Correction", submitted: "Submitted", returned: "Returned", approved: "Approved", frozen: "Frozen" },
  report: {
    note: "Figures come from the boards themselves and go up school → county → city; every number opens its rows",
    tab: { reports: "Reports", indicators: "Indicators", manual: "Typed in", data: "Data catalogue and export" },
    year: "Year", anyYear: "All years", kind: "Kind", anyKind: "All kinds", anyState: "All states", count: "{count} reports", what: "Report", version: "Version", versionN: "Version {n}", madeAt: "Made",
    new: "New report", make: "Make", made: "Made", anyDay: "Any day in it", noMatch: "No such report", none: "No report yet", noneText: "Choose a place and a month; a month without data says so.",
    madeBy: "made by {who}, {at}", refresh: "Work out anew", submit: "Submit", return: "Return", approve: "Approve", freeze: "Freeze", correct: "Correct",
    did: { refresh: "Worked out anew", submit: "Submitted", approve: "Approved", freeze: "Frozen and signed", return: "Returned", correct: "A correction was opened" },
    returnText: "Whoever submitted it sees why, mends it and submits it again.", correctText: "A frozen version never changes; a correction is a version of its own that says why.", reason: "Why",
    corrects: "Corrects version {n}: {why}", digest: "Digest", check: "Check", same: "Worked out anew it is the same, byte for byte", differs: "The data have changed: {count} figures differ", sealFine: "The signature and all files are as they were.", sealBroken: "The signature or a file is not as it was frozen",
    change: "{figure}: {was} → {is}",
    file: { xlsx: "Excel", html: "For printing", json: "JSON", zip: "Frozen pack" },
    empty: "Nothing at all is known of this time, and the report says so.", figures: "Figures", all: "All schools", indicator: "Indicator", value: "Value", fraction: "Of", unknown: "Unknown", rows: "Rows {count}",
    heard: "Boards heard of, by day", devices: "boards", silent: "Board-days without data on school days: {count}; unknown, not off", way: "What happened",
    row: "Row", numerator: "Numerator", denominator: "Denominator", formula: "Formula", source: "Source", manual: "typed in", dictionary: "Dictionary {version}, {count} indicators", searchIndicator: "Find an indicator",
    manualText: "What boards cannot know is typed in by schools and marked so in reports.", over: "to", from: "Where it is from", saved: "Saved", setBy: "set by {who}, {at}",
    schema: "Schema version {version}", table: "Table", about: "What it holds", columns: "{count} columns", dated: "by day", download: "Export",
  },
  preview: {
    note: "What the report of the running month, quarter or year would say up to yesterday; kept nowhere, cannot be submitted",
    kind: { month: "This month", quarter: "This quarter", year: "This year" }, place: "Choose a region or school", placeText: "It is worked out at once from everything up to yesterday.",
    until: "{place}, {name}: {from} to {until}", kept: "This preview is not kept and cannot be submitted; the report itself can be made under “Reports” once {to} is over.",
  },
  register: {
    note: "Written from what happened, nothing typed; a school year prints as it is",
    kind: { use: "Use", repair: "Repairs", inspection: "Inspections", resource: "Lessons" },
    xlsx: "Excel", csv: "CSV", print: "Print", count: "{count} rows", none: "No row in this time",
  },
};
export default en;
