/** What all lists have alike: order, columns, saved views; and the palette. */
export default {
  list: {
    clear: "Clear filters", noMatch: "Nothing fits", noMatchText: "Try another condition, or clear the filters.",
    export: "Export", exportText: "All rows that fit the filters, as CSV",
    columns: "Columns", usualColumns: "Usual columns", size: "Rows a page", sizeOf: "{n} a page",
    sortBy: "{column}, {order}, sort by this column", order: { ascending: "ascending now", descending: "descending now", none: "not sorted" },
    tick: "Select {name}", tickPage: "Select all on this page",
    ticked: "{count} selected", untick: "Select none", tickAll: "Select all {count} that fit", tickedAll: "All {count} that fit are selected",
  },
  views: {
    title: "Views", none: "No saved views yet. Filter and sort the list, then keep it here, for yourself or for your colleagues.",
    save: "Save this view", saved: "View saved", edit: "Change and share", editOf: "Change and share {name}", remove: "Delete", removeOf: "Delete {name}",
    removeText: "Delete the view “{name}”? Only the name goes; devices and data stay.", removeShared: "Delete the view “{name}”? It is shared, so others lose it too. Devices and data stay.", removed: "View deleted",
    by: "shared by {owner}", sharedWith: "shared with {place}", everybody: "everybody", name: "Name", nameHint: "e.g. Away for more than a day",
    take: "Also take the filters, order and columns of now", who: "Who sees it", own: "Only I", withPlace: "A region or school", withAll: "Everybody",
    shareText: "Whoever holds a role there, above or below sees this view; of its rows everybody sees what they may.",
  },
  palette: {
    open: "Search", openText: "Search pages, devices, schools, lessons, work orders", title: "Go to", hint: "A page, device, school or lesson, or a work order's number",
    pages: "Pages", devices: "Devices", schools: "Schools", lessons: "Lessons", orders: "Work orders", order: "Work order {number}", incident: "Incident {number}", incidents: "Incidents",
    found: "{count} results", nothing: "Nothing found for “{query}”", failed: "Some results could not be fetched: {message}", keys: "↑ ↓ choose, Enter opens, Esc closes", searching: "Searching…",
  },
  lessons: { owner: "Belongs to" },
  pushes: { count: "{count} pushes", neededBy: "Needed by", by: "Pushed by" },
  incidents: { ended: "Ended" },
  assets: { warrantyUntil: "Warranty until" },
};
