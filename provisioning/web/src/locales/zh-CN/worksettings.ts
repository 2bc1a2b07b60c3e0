/** 工单时限、片区、备件库存、宽带标准、按区域升级、人工巡检、登记设备、终端网络。 */
export default {
  page: { orderSettings: "工单设置", bandwidthRules: "宽带标准" },
  orderSettings: { note: "每类工单允许多久、哪些学校归谁管、备件还有多少", tab: { slas: "响应和维修时限", areas: "包区", parts: "备件库存" } },
  sla: {
    region: "哪个区域", note: "下面没有单独设定的，按上级区域的时限。上课时间只数课表里的课时，放学、周末和假期不算。",
    class: "类别", urgency: { urgent: "紧急（课上不了）", normal: "一般" }, own: "来自", ownHere: "本区域", ownAbove: "上级或内置",
    clock: "按什么计时", clocks: { class: "上课时间", wall: "自然时间" }, respond: "响应（分钟）", repair: "修好（分钟）",
    set: "在本区域单独设定", tooShort: "修好的时限不能比响应的短。", save: "保存时限", saved: "时限已保存，马上生效", changed: "还没有保存",
  },
  areas: {
    note: "包区把学校交给负责人：新工单先通知第一级，超时逐级升级。一所学校只在一个包区里。",
    new: "新建包区", edit: "修改包区", name: "名称", region: "区域", vendor: "运维单位", schools: "学校", schoolCount: "{count} 所", people: "负责人", nobody: "还没有负责人",
    tier: "通知顺序", tiers: { t0: "首先通知", t1: "第一次升级", t2: "第二次升级", t3: "第三次升级" }, account: "账户（用户名）", addPerson: "添加负责人", removePerson: "去掉 {name}",
    leaves: "这些学校会离开原来的包区：{schools}", none: "还没有划分包区", noneText: "划分之后，工单自动派到包区，技术员只看到自己包区的工单。",
    saved: "包区已保存", remove: "删除", removeSure: "删除包区“{name}”？它的学校就不再有负责人，没有办完的工单不再归它。", removed: "已删除", without: "还有 {count} 所学校没有划进包区",
  },
  parts: {
    note: "县里和乡镇各有自己的备件库；维修时从工单领用，这里入库、盘点和报废。",
    code: "编号", name: "名称", unit: "单位", stock: "库存", lowAt: "到多少该买", region: "哪里的库", low: "该买了", onlyLow: "只看该买的", none: "还没有备件", noneText: "登记之后，技术员就能在工单里领用。",
    noMatch: "没有该买的备件", new: "登记备件", made: "备件已登记", move: "入库或出库", moveOf: "{name}：入库或出库", change: "变动（入库为正，出库为负）", after: "变动后 {stock} {unit}", below: "库存会不够", reason: "原因", moved: "库存已改", opening: "现有数量", count: "共 {count} 种",
  },
  bandRules: {
    note: "达标的标准来自各地的文件；标准有版本，以前的结论仍按当时的版本", button: "宽带标准",
    follows: "各区域执行的标准", followsText: "没有单独设定的，按上级区域；都没有的，只比合同速率。", region: "区域", own: "本区域设定", inherit: "按上级区域", effective: "实际执行", contract: "只比合同", followed: "已设定",
    sets: "标准（第 {version} 版，允许误差 {tolerance}%）", set: "标准", source: "出处", years: "要求", year: "{year} 年起", rate: "下行 {down}、上行 {up} Mbit/s", access: "接入率 {access}%", noRate: "不规定速率，比合同",
    new: "新建标准", edit: "修改标准", remove: "删除", removeSure: "删除标准“{name}”？正在执行它的区域要先改用别的标准。",
    id: "标识", idHint: "小写字母、数字和减号，定下后不能改", name: "名称", fromYear: "从哪年起", down: "下行 Mbit/s", up: "上行 Mbit/s", accessPercent: "接入率 %", denominator: "对哪些学校", quote: "文件原话", addYear: "添加一个年份", removeYear: "去掉 {year} 年",
    tolerance: "允许误差", toleranceText: "检测本身会有误差：比标准低这么多仍算达标（0–10%）。", saved: "第 {version} 版标准已生效", save: "存为新的一版", none: "还没有标准", sameYear: "同一年只能有一条。",
  },
  escalate: {
    place: "哪里", everywhere: "全部（没有单独设定的区域）", builtIn: "内置", add: "为一个区域单独设定", never: "不升级", minutes: "{count} 分钟", remove: "取消单独设定", removed: "{place}：已取消，按上一级的设定办", change: "修改", title: "多久没人处理就通知上一级", zero: "填 0 表示不升级。", saved: "已保存，马上生效",
  },
  inspect: {
    title: "登记巡检", note: "到了现场，看一项记一项；没有看的不用选。", room: "教室", rest: "其余都正常", value: "看到什么（可以不填）", result: "{point}的结果", chosen: "已记 {count} 项", order: "工单 {id}", save: "登记", saved: "巡检已登记", savedOrder: "巡检已登记，并开了工单", look: "查看工单",
  },
  assetNew: { title: "登记设备", made: "设备已登记", wholeSchool: "不在教室里（归学校）", interactiveText: "能触摸、能互动" },
  alertRule: {
    school_lost: "学校整体失联", offline: "终端离线", disk_full: "课程磁盘快满", emmc_reserve: "存储芯片备用块将用完", emmc_worn: "存储芯片寿命将尽", disk_worn: "硬盘寿命将尽", disk_sectors: "硬盘坏块增多", hot: "温度过高", memory_short: "内存紧张", busy: "处理器长时间满载", line_lossy: "到控制台的线路丢包", wifi_weak: "无线信号弱", port_slow: "网口降速", lessons_failed: "有课程无法补齐", outbox_long: "待上报数据积压", reports_limited: "上报过于频繁", readings_implausible: "读数不可信", disk_read_only: "磁盘变为只读", disk_failing: "磁盘写入失败", files_corrupt: "课程文件损坏", crashes: "反复崩溃", watchdog: "反复被看门狗重启", overheated: "过热关机", player_failing: "播放器反复出错", case_opened: "机壳被打开", pin_tries: "技术员密码多次输错", agent_changed: "终端程序被改动", usb_unlisted: "插入未许可的 USB 设备", app_unlisted: "运行未许可的程序",
  },
  network: {
    tab: "网络", link: "连接方式", port: "端口速率", addresses: "地址", both: "IPv4 和 IPv6", v4: "只有 IPv4", v6: "只有 IPv6", noAddress: "没有地址", metered: "按量计费",
    gateway: "网关", dns: "域名解析", console: "到控制台", answers: "通", silent: "不通", unknown: "未知", rtt: "{ms} 毫秒", loss: "丢失 {percent}", wifi: "无线信号",
    at: "{at} 的情况", old: "终端现在不在线，下面是它最后说的。", never: "终端还没有说过它的网络。", traffic: "流量", lastHours: "近 {count} 小时", lastDays: "近 {count} 天", in: "共收到", out: "共发出",
    class: { lessons: "课程（线路）", lan: "课程（同校取得）", given: "课程（分给同校）", telemetry: "上报", other: "其他" }, note: "同校终端之间传的课程不占学校线路；“其他”包括系统更新、考试和别的程序。", history: "变化",
  },
  reportOwn: "您上报的报表，要由另一个人审核。",
  incidentOrder: { title: "工单", none: "还没有工单。", forIt: "为这个事件开的", onBoards: "受影响终端上的其他工单", made: "已开工单，事件和工单互相关联", school: "哪所学校的工单", schoolText: "这个事件涉及几所学校，每所学校一张工单。", text: "{incident}：{cause}，{open} 台未恢复，共 {all} 台。", from: "来自事件", told: "通知" },
};
