/** Help beside each page, and taking back what was just done. */
export default {
  help: {
    open: "Help for this page",
    openText: "Help for this page (F1 or ?)",
    title: "Help for this page",
    close: "Close help",
    missing: "There is no help for this page here. The whole handbook is below.",
    book: "The handbook (Chinese)",
    keys: "F1 or ? for help · Ctrl K to find",
  },
  undo: {
    back: "Undo", keep: "Keep", done: "Taken back",
    moved: "The device was moved to {place}", renamed: "The name is now “{name}”", pushed: "Pushed to “{name}”", pushAgain: "Push again", ungranted: "“{what}” was taken away",
  },
  download: { missed: "The file did not come" },
  // What an empty place says next.
  receipt: { noneText: "Try another outcome or another school." },
  timeline: { noneText: "Once the device is online, what it reports and what is done to it appears here." },
  sessions: { noneText: "A sign-in appears here until it ends." },
  bandRules: { noneText: "Make new rules: from which year, how fast, and the document's words. Without any, the contracted rate counts." },
  wall: { noneText: "Press “Make missing codes”, then print and put them up.", chooseText: "With a school chosen, the code of each classroom is here." },
  parts: { noMatchText: "There is enough of everything." },
  maintenance: { noneText: "Set one before planned work, a power cut or a move, and nobody is disturbed by its alerts." },
  notify: {
    noRecipientsText: "With nobody here, incidents are only shown in the console. Make a channel first, then add people.",
    noMessagesText: "Each message about an incident or order is kept here, arrived or not; “Send a test” on a channel above tries it.",
  },
  assets: { noInspectionsText: "The console checks each device every day; what people see on the spot goes in by “Record an inspection”.", noneText: "Devices enter when they enrol; other things are typed in or imported from a table." },
  audit: { noneText: "It begins with the first change, and nothing in it can be changed or deleted." },
};
