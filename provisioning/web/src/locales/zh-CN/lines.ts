/** 学校宽带的检测与判定。 */
export default {
  page: { bandwidth: "宽带达标" },
  right: {
    bandwidth: {
      read: "查看宽带检测结果", rules_read: "查看宽带标准", follow_read: "查看区域执行的宽带标准", follow: "设定区域执行的宽带标准", test: "立即检测学校宽带", rules: "修改宽带标准和检测安排",
    },
  },
  lineVerdict: { met: "达标", not_met: "未达标", port_cannot_prove: "端口不足以证明", no_target: "未定标准", no_figures: "未知" },
  lineCause: { schedule: "定期检测", doubt: "有疑点，重测", operator: "人工检测" },
  lineDoubt: { board_missing: "有终端没有给出数据", out_of_step: "有终端没有同时开始", other_traffic: "检测时终端有其他流量", near_target: "结果离标准太近", unlike_last: "和上一次相差很大" },
  lineFailed: { class_began: "开始上课，已中止", playing: "正在播放课程，没有参加", no_route: "连不上控制台", timeout: "超时", refused: "控制台没有接受", exam: "考试中，没有参加" },
  linkKind: { wired: "有线", wireless: "无线", mobile: "移动网络", none: "无网络" },
  bandwidth: {
    note: "非上课时间检测，每校每月一个结论；一个端口不够快，就由几台终端一起测",
    code: "学校代码", search: "学校或代码", doubtfulTests: "存疑次数", month: "月份", verdict: "结论", anyVerdict: "全部结论", count: "共 {count} 所学校",
    down: "下行", up: "上行", downShort: "下行（Mbit/s）", upShort: "上行（Mbit/s）", downOf: "下行 / 标准", upOf: "上行 / 标准",
    tests: "检测次数", doubtful: "{count} 次有疑点", testedAt: "依据的检测",
    start: "立即检测", startTitle: "检测 {school} 的宽带", startText: "检测会占满这所学校的线路约半分钟。上课时间和考试时不会检测；确需在上课时间检测，请选“上课也测”。", startNow: "检测", startForced: "上课也测", started: "已安排检测",
    rows: "依据", none: "没有学校", noneText: "换个区域或月份看看。",
    of: "{school} · {month}", rate: "{rate} Mbit/s", test: "检测", noTests: "这个月还没有检测。", running: "检测中", runningText: "正在检测，最迟 {at} 有结果。",
    against: "标准 {target} Mbit/s", noTarget: "没有标准", payload: "净荷 {rate} Mbit/s",
    quote: "依据：“{quote}”（标准第 {version} 版，允许误差 {tolerance}%）", ports: "参加的端口共 {mbps} Mbit/s", portsUnknown: "有端口的速率不明",
    doubts: "这个结论有疑点，会自动重测", boards: "参加的终端（{count} 台，每个方向 {seconds} 秒，每台 {streams} 个连接）",
    port: "端口", other: "其他流量", rtt: "往返时延", inStep: "同时开始", yes: "是", no: "否",
    evidence: "下载本月达标证据包",
    settings: "检测安排", saved: "已保存",
    set: { uplink: "控制台线路最多给检测用（Mbit/s）", uplinkText: "不填就不自动检测，只能人工检测。", schools_at_once: "同时检测几所学校", every_days: "每所学校几天测一次", seconds: "每个方向几秒", streams: "每台几个连接", boards_at_once: "一校最多几台一起测" },
  },
};
