import type zhCN from "../zh-CN/assets";

/** Equipment, areas of responsibility, inspections. */
const en: typeof zhCN = {
  page: { assets: "Equipment" },
  right: {
    areas: { read: "See areas of responsibility", write: "Change areas and who looks after them" }, assets: { read: "See equipment", write: "Change equipment", import: "Import equipment" }, inspections: { read: "See inspections", write: "Record inspections" },
  },
  assetKind: { terminal: "Device", panel: "Interactive panel", projector: "Projector", whiteboard: "Whiteboard", display: "Television, display", computer: "Computer", sound: "Sound", network: "Network", other: "Other" },
  assetReason: { age: "{value} years old", warranty_over: "{value} years out of warranty", wear: "{value}% worn", repairs: "{value} repairs", repairs_failed: "{value} failed repairs" },
  inspectionResult: { pass: "In order", unknown: "Unknown", fail: "Not in order" },
  inspectionKind: { automatic: "automatic", human: "by hand" },
  point: {
    online: "online", clock: "clock", disk: "disk", temperature: "temperature", wear: "wear", lessons: "lessons", screen: "screen", touch: "touch", sound: "sound", network: "network", power: "power", cabling: "cables", fixing: "fixing", accessories: "accessories", clean: "cleanliness", label: "label",
  },
  assets: {
    note: "Devices enter by themselves, the rest by hand or from a file; owner, builder and maintainer belong to each",
    tab: { list: "Ledger", equipment: "Classrooms", areas: "Areas", inspections: "Inspections" },
    kind: "Kind", anyKind: "All kinds", count: "{count} pieces", search: "Tag, brand, model, serial", worst: "Worst first", incomplete: "Only without all three", managed: "managed device",
    what: "What", who: "Owner / builder / maintainer", bought: "Bought", warranty: "Warranty until", health: "Health", missing: "missing", age: "{n} years", tag: "Tag", brand: "Brand", model: "Model", serial: "Serial", interactive: "Interactive",
    none: "No equipment", noMatch: "No such equipment", edit: "Change", saved: "Saved", add: "Enter equipment", retire: "Take out of use", retired: "Out of use", noteLabel: "Note", template: "Template", import: "Import", importText: "Read first, nothing is changed; it is entered only without mistakes.", trial: "Read", applied: "Entered: {added} new, {changed} changed", would: "{rows} rows: {added} new, {changed} changed, {same} the same, {errors} wrong", row: "row {row}",
    equipped: "Classrooms with multimedia", interactiveSets: "Interactive sets", ratio: "Interactive sets to a classroom", points: "Village schools and teaching points without any", incompleteN: "Without all three", classrooms: "Classrooms", without: "Classrooms without",
    area: "Area", region: "Region", vendor: "Maintainer", schools: "Schools", people: "Who", tier: "tier {n}", tier0: "told first", noAreas: "No area yet", newArea: "New area", name: "Name", remove: "Remove", person: "Account id",
    date: "Date", result: "Result", points_: "Points", by: "By", anyResult: "All results", noInspections: "No inspection in this time", console: "console", newInspection: "Record an inspection", openOrder: "Open an order for what is not in order", recorded: "Recorded",
  },
};
export default en;
