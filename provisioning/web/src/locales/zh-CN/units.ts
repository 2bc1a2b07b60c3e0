/** 单位：数字和它的单位放在一起；`unitName` 写在栏目名里。 */
export default {
  unit: { percent: "{n}%", celsius: "{n} °C", ms: "{n} 毫秒", mbps: "{n} Mbit/s", s: "{n} 秒", min: "{n} 分钟", hours: "{n} 小时" },
  unitName: { percent: "%", celsius: "°C", bytes: "字节", ms: "毫秒", mbps: "Mbit/s", s: "秒" },
  labelled: "{label}（{unit}）",
};
