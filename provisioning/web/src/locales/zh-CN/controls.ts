/** 电源、屏幕、声音、锁定、日志：对终端下的指令。 */
export default {
  right: { devices: { logs: "下载终端日志" } },
  control: {
    menu: "控制", state: "现状", unknown: "未知", cannot: "此终端做不到：板子没有这项能力，或终端程序较旧",
    power_off: "关机", screen_off: "熄屏", screen_on: "亮屏", volume: "调音量", mute: "静音", unmute: "取消静音", lock: "锁定播放", unlock: "解锁播放", collect_logs: "收集日志",
    title: { power_off: "关闭 {place} 的终端？", screen_off: "熄灭 {place} 的屏幕？", screen_on: "点亮 {place} 的屏幕？", volume: "{place} 的音量", lock: "锁定 {place} 的播放？", collect_logs: "收集 {place} 的日志" },
    text: {
      power_off: "关机后要有人按电源键、到预定的开机时间，或重新通电才会再开。上课或考试时不会执行，除非勾选“仍要执行”。",
      screen_off: "只熄屏，终端照常运行。上课或考试时不会执行，除非勾选“仍要执行”。", screen_on: "屏幕会亮起来，终端上正在做的事不受影响。",
      volume: "考试静音期间不会改变，考试结束后再执行。",
      lock: "锁定后课程、U 盘和直播课都不能播放，直到在这里解锁，或技术员在终端上输入 PIN。考试的听力播放不受影响。上课时锁定须写明原因。",
      collect_logs: "只收集终端程序自己的日志和状态，密钥、口令、PIN 会先去掉；按学校带宽限速上传，控制台保留 14 天，下载会记入审计日志。",
    },
    confirm: { power_off: "关闭 {place}", screen_off: "熄屏", screen_on: "亮屏", volume: "设置", lock: "锁定", collect_logs: "开始收集" },
    delay: "多久后执行", force: "上课或考试时仍要执行", reasonNeeded: "原因（必填）", reasonShown: "原因（教室里会看到；上课时必填）", percent: "音量", now: "现在{what}。", offline: "终端现在不在线。指令等 {minutes} 分钟，这段时间里上线就执行，过后作废。", loud: "声音", keep: "不变", hours: "最近多久",
    said: { screen_off: "已下达：熄屏", screen_on: "已下达：亮屏", lock: "已下达：锁定播放", unlock: "已下达：解锁播放", volume: "已下达：调音量" },
    on: "屏幕亮", off: "屏幕已熄", level: "音量 {n}%", muted: "静音", locked: "播放已锁定", lockedBecause: "播放已锁定：{reason}", lockedSince: "自 {at} 起",
    logs: "下载日志（{size}）", logsComing: "已收到 {have} / {total}", logsUntil: "保留到 {at}", inverse: "改回：{what}", forced: "仍要执行：{reason}",
  },
  commandReason: {
    class_hours: "正在上课，没有执行", exam: "正在考试，没有执行", no_answer: "过期前终端没有回答",
    lesson: "正在放课，没有执行",
    no_pin: "没有锁定：这个教室还没有技术员 PIN，锁定后在终端上打不开。先设置技术员 PIN", busy: "上一次收集的日志还没传完，没有执行",
  },
};
