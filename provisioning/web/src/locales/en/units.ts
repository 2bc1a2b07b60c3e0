/** Units: a figure and its unit stand together; `unitName` stands in a heading. */
export default {
  unit: { percent: "{n}%", celsius: "{n} °C", ms: "{n} ms", mbps: "{n} Mbit/s", s: "{n} s", min: "{n} min", hours: "{n} h" },
  unitName: { percent: "%", celsius: "°C", bytes: "bytes", ms: "ms", mbps: "Mbit/s", s: "s" },
  labelled: "{label} ({unit})",
};
