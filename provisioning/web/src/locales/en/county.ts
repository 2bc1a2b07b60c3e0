/** The overview, the wall, and what devices are narrowed by. */
export default {
  device: { stateSince: "{why}, since" },
  page: { wall: "Wall screen" },
  wall: { open: "Wall screen (Esc leads back, F fills the screen)", title: "{name}: classrooms now" },
  county: {
    schools: "Schools", allSchools: "All schools", view: "View", bySize: "By size", byPlace: "By place", treeMap: "Schools as large as they have devices, coloured by how many are missing", map: "Schools by their coordinates, coloured and shaped by how many are missing",
    awayOf: "{away} of {all} missing", devices: "{all} devices", unknownShort: "{unknown} unknown", worst: "Schools with most away", mapNote: "By coordinates, north is up; the larger, the more devices", awayShort: "{away} missing", allThere: "{all} devices, none missing",
    unsureOf: "{unknown} of {all} unknown", level: { none: "No devices", unsure: "Mostly unknown", fine: "None missing", some: "A few missing", many: "Many missing", most: "Most missing" },
    incidents: "Open incidents", incidentsBy: "{critical} critical · {warning} warnings · {notice} notices",
    noneLate: "None overdue", arriving: "Lessons arriving", failed: "{count} failed", pushes: "{count} pushes under way",
    lines: "Lines that meet the plan, this month", linesOf: "{met} meet it · {not} do not · {open} open", linesNone: "No test this month",
    ready: "Ready for tomorrow", readyOf: "{planned} planned, {missing} missing", readyNone: "Nothing planned for tomorrow",
  },
  deviceLessons: { ready: "All ready", arriving: "Still arriving", failed: "Some failed", none: "No lessons" },
  devices: {
    region: "Region", standing: "Standing", since: "So since", anyPlace: "Anywhere", anyLessons: "Any lessons", more: "More", moreOn: "More ({count})", choice: "{value} ({count})",
    hot: "At least so hot", hotHint: "°C, e.g. 75", full: "Little room", fullHint: "Less than so many percent, e.g. 10", silent: "Not heard for", silentDays: "{n} days or more",
  },
};
