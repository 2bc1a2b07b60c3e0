/** Help beside each page, and taking back what was just done. */
export default {
  help: {
    open: "本页帮助",
    openText: "本页帮助（F1 或 ?）",
    title: "本页帮助",
    close: "关闭帮助",
    missing: "这一页的帮助没有找到。可以打开下面的完整手册。",
    book: "完整手册",
    keys: "F1 或 ? 打开帮助 · Ctrl K 搜索",
  },
  undo: {
    back: "撤销", keep: "知道了", done: "已撤销",
    moved: "终端已移到{place}", renamed: "已改名为“{name}”", pushed: "已推送到“{name}”", pushAgain: "再推送一次", ungranted: "已收回“{what}”",
  },
  download: { missed: "文件没有下载成功" },
  // What an empty place says next.
  receipt: { noneText: "换一种结果，或换一所学校看看。" },
  timeline: { noneText: "终端联网以后，它报告的和对它做过的，都会出现在这里。" },
  sessions: { noneText: "登录以后会出现在这里；退出或到期就没有了。" },
  bandRules: { noneText: "新建一份标准，写明从哪年起、多少兆和文件原话；没有标准时，只和合同速率比。" },
  wall: { noneText: "点“为没有的教室生成”，再打印出来贴好。", chooseText: "选好学校，就能看到每间教室的二维码。" },
  parts: { noMatchText: "各种备件的库存都还够用。" },
  maintenance: { noneText: "施工、停电、搬迁之前先设一段，那段时间里的告警就不会打扰人。" },
  notify: {
    noRecipientsText: "没有人登记，事件就只显示在控制台上。先建渠道，再添加收通知的人。",
    noMessagesText: "有事件、工单要通知时，每一条送没送到都记在这里；可以在上面的渠道先“发一条试试”。",
  },
  assets: { noInspectionsText: "系统每天自动检查每台终端；到现场看过的，用“登记巡检”记下来。", noneText: "终端注册后自动入账；其他设备可以登记，或用表格导入。" },
  audit: { noneText: "第一次改动之后，这里就有记录，并且不能修改或删除。" },
};
