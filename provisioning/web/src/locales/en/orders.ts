import type zhCN from "../zh-CN/orders";

/** Work orders, photos, spare parts, the codes on walls, the technician's telephone page. */
const en: typeof zhCN = {
  page: { orders: "Work orders", order: "Work order", wallCodes: "Codes for walls", phone: "My orders" },
  right: {
    orders: { read: "See work orders", open: "Open work orders", work: "Accept, visit, repair", photos: "Add photos to orders", verdict: "Confirm or return a repair", manage: "Assign and cancel orders, open rectifications", figures: "Take away evidence" },
    walls: { write: "Make codes for walls" }, order_slas: { read: "See times allowed", write: "Change times allowed" }, parts: { read: "See spare parts", write: "Change the stock of parts" },
  },
  clock: { minutes: "{a} min", hours: "{a} h {b} min", wholeHours: "{a} h", days: "{a} d {b} h", wholeDays: "{a} d" },
  orderState: { new: "New", accepted: "Accepted", on_site: "On site", repaired: "To be confirmed", confirmed: "Confirmed", closed: "Closed", reopened: "Reopened", cancelled: "Cancelled" },
  rectifyState: { new: "Notice given", accepted: "Taken", on_site: "Under way", repaired: "To be re-checked", confirmed: "Re-check passed", closed: "Closed", reopened: "Re-check failed", cancelled: "Cancelled" },
  orderKind: { repair: "Repair", rectification: "Security rectification" },
  orderClass: { infrastructure: "Infrastructure", application: "Applications", resource: "Lessons" },
  orderSource: { incident: "from an incident", fault: "reported at a board", qr: "by the code on the wall", hand: "entered by hand", inspection: "from an inspection" },
  orderBy: { user: "user", board: "board", qr: "code on the wall", console: "console" },
  orderAct: {
    opened: "Opened", assigned: "Assigned", accepted: "Accepted", on_site: "On site", repaired: "Repaired", confirmed: "Confirmed", reopened: "Reopened", closed: "Closed", cancelled: "Cancelled",
    noted: "Note", photo: "Photo added", parts: "Parts used", climbed: "Overdue: next tier", again: "Reported again",
  },
  orderPress: { accept: "Accept", on_site: "I am there", repaired: "It is repaired", note: "Note only", confirm: "It works", reopen: "Not mended: reopen", close: "Close", cancel: "Cancel the order" },
  orderClock: {
    response: "Response", repair: "Repair", runs: "running", wall: "{time} by the wall clock", class: "{time} of class hours",
    allowedClass: "{time} of class hours allowed", allowedWall: "{time} allowed", due: "due {at}", kept: "in time", broken: "too late",
  },
  order: {
    note: "From incidents, reports at boards, codes on walls, or by hand; response and repair are measured between events, never typed",
    nr: "Order {id}", number: "Number", what: "What", who: "Who", opened: "Opened", due: "Due",
    nobody: "Nobody yet", wholeSchool: "Whole school", late: "Late", urgent: "Urgent",
    view: "View", views: { list: "List", board: "Board", calendar: "Calendar" },
    show: { open: "Open", all: "All" },
    onlyLate: "Late only", onlyMine: "Mine only",
    count: "{count} orders",
    toRespond: "to be taken", toRepair: "to be repaired",
    figure: { open: "Open", nobody: "Not taken", overdue: "Late", asked: "To be confirmed", today: "New today" },
    noMatch: "No such order", none: "No open order", noneText: "New reports and incidents' orders show here.",
    noneHere: "None", dueShort: "due {at}", more: "{count} more", weeksBefore: "Four weeks before", weeksAfter: "Four weeks after", calendarText: "When open orders are due",
    new: "New order", rectify: "Security rectification", made: "Order opened", make: "Open",
    urgency: "Urgency", urgentText: "Urgent: no class can be held", title: "In a few words", text: "Details (name no person)", dueOn: "By when",
    next: "What next", noteLabel: "Note (shown on the board; name no person)", noteNeeded: "Reopening, cancelling and noting need a note first.", noteShown: "The board in the classroom shows the note.", saved: "Noted",
    settle: "Assignment", assign: "Assign", assignTo: "Choose who", canWait: "Make it not urgent", cannotWait: "Make it urgent",
    history: "What happened", fault: "The report", round: "repair no. {n}", climbed: "climbed {n} times",
    proof: "Evidence", proofText: "Orders, clocks, confirmations and photos of a stretch of time with a list of hashes: evidence for paying the service.", pack: "Evidence pack", technicians: "Technicians' figures (CSV)",
  },
  photo: { title: "Photos", fault: "fault", repair: "after repair", evidence: "evidence", none: "No photo yet", add: "Take or choose a photo", sending: "Sending {percent}%", alt: "Photo ({what}), {at}" },
  part: { title: "Spare parts", none: "No part used", choose: "Choose a part", count: "How many", take: "Use", taken: "Noted", stock: "{count} {unit} in stock" },
  wall: {
    note: "For the classroom's wall: scan it to report a fault, no sign-in, no app",
    school: "School", print: "Print", make: "Make missing codes", made: "Made", none: "This school has no codes yet",
    noUrl: "The console does not know its own address, so no code can be drawn. Set public_url in console.toml.",
    scan: "Something broken? Scan to report", how: "Scan, choose what is wrong; no name is asked", foot: "{school} · county maintenance",
    renew: "New code", renewOf: "A new code for {room}", renewText: "The label on the wall stops working at once; print the new one and put it up. Only needed where the old code is being misused.", renewed: "A new code was made; print this label again",
    size: "Per page", choose: "Choose a school first", qr: "Code of {room}",
  },
  phone: {
    mine: "Mine", area: "My area", none: "Nothing to do", noneText: "Orders given to you show here.", all: "All orders", open: "Open", back: "Back to the list",
    call: "Where", due: "Due", inspect: "Inspection", room: "Classroom", console: "To the console",
  },
};
export default en;
