/** 终端的经过，以及一次对许多终端下指令。 */
export default {
  deviceTab: { timeline: "经过" },
  timeline: {
    kinds: "种类", all: "全部种类", none: "还没有任何记录", leftOut: "没有权限看、因此未列出：{kinds}",
    kind: { event: "终端", command: "指令", state: "状态", alert: "告警", incident: "事件", order: "工单", push: "推送", identity: "身份", audit: "操作" },
    command: "{what}：{state}", order: { reboot: "重启", notice: "发通知", test_bandwidth: "宽带检测", power_off: "关机", screen: "屏幕", volume: "音量", lock: "锁定播放", unlock: "解锁播放", collect_logs: "收集日志", unknown: "其他指令" }, state: "{state}（{why}）",
    raised: "告警：{rule}", cleared: "告警解除：{rule}", lost: "卷入{severity}事件 {number}", back: "从{severity}事件 {number} 恢复", orderStep: "工单 {number}：{step}",
    pushNo: "{what}：推送 {number}", pushOf: "{what}：推送 {number}，{count} 节课", pushed: { pushed: "推送课程", arrived: "课程送达", withdrawn: "撤回推送" },
    identity: { enrolled: "注册", replaced: "被新终端替换", revoked: "吊销", stolen: "挂失", unlocked: "解除挂失", renewed: "证书续期", copied: "发现复制盘", copy_decided: "复制盘已处理", warned: "身份异常" },
    audit: "{what}（{outcome}）",
  },
  bulk: {
    tooMany: "一次最多 {most} 台，请先缩小范围", test_bandwidth: "宽带检测",
    title: { notice: "向所选终端发通知", reboot: "重启所选终端", test_bandwidth: "为所选终端的学校做宽带检测", power_off: "关闭所选终端", screen: "所选终端的屏幕", volume: "所选终端的音量", lock: "锁定所选终端的播放", unlock: "解锁所选终端的播放" },
    rebootText: "正在上课的教室，画面会中断约一分钟。", testText: "每所学校只测一次；需要几台终端一起测时由控制台挑选。正在考试的学校不测。", forced: "上课时间也测（可能影响播放）",
    unlockText: "解锁后照常播放。", check: "看看会影响哪些教室", sums: "{schools} 所学校、{classrooms} 间教室的 {devices} 台终端，其中 {online} 台在线", away: "{count} 台现在不在线：上线后执行，超过有效期作废。",
    rooms: "{count} 间", moreRooms: "另有 {count} 间", allRooms: "列出全部 {count} 间教室", skipped: "另有 {count} 台不会执行：{why}",
    confirm: { notice: "发给 {classrooms} 间教室", reboot: "重启 {classrooms} 间教室的 {devices} 台终端", test_bandwidth: "开始检测", power_off: "关闭 {classrooms} 间教室的 {devices} 台终端", screen: "用于 {classrooms} 间教室", volume: "用于 {classrooms} 间教室", lock: "锁定 {classrooms} 间教室的 {devices} 台终端", unlock: "解锁 {classrooms} 间教室的 {devices} 台终端" },
    done: "已下达 {count} 台，在各终端的“指令”里看执行结果", result: "结果", results: { ready: "可以执行", queued: "已下达" },
  },
  bulkReason: {
    not_found: "没有这台终端", revoked: "已吊销", stolen: "已挂失", replaced: "已替换", not_allowed: "没有权限", console_failed: "控制台出错，请重试", device_cannot: "板子没有这项能力，或终端程序较旧", class_hours: "上课时间", exam: "正在考试",
    no_board: "没有可用的终端", running: "已经在测", busy: "已经在测",
  },
};
