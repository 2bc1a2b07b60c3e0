/** Reports, registers, indicators, the data catalogue. */
export default {
  right: { reports: { read: "See reports, registers and the data catalogue", write: "Make, submit and correct reports", review: "Approve, return and freeze reports" } },
};
