/** 资产、包区、巡检。 */
export default {
  page: { assets: "资产" },
  right: {
    areas: { read: "查看包区", write: "修改包区和负责人" }, assets: { read: "查看资产台账", write: "修改资产台账", import: "导入资产" }, inspections: { read: "查看巡检", write: "登记巡检" },
  },
  assetKind: { terminal: "班班通终端", panel: "交互式一体机", projector: "投影机", whiteboard: "电子白板", display: "电视机、显示器", computer: "电脑", sound: "音响", network: "网络设备", other: "其他" },
  assetReason: { age: "使用 {value} 年", warranty_over: "过保 {value} 年", wear: "磨损 {value}%", repairs: "维修 {value} 次", repairs_failed: "没修好 {value} 次" },
  inspectionResult: { pass: "正常", unknown: "未知", fail: "有问题" },
  inspectionKind: { automatic: "系统", human: "人工" },
  point: {
    online: "在线", clock: "时钟", disk: "磁盘", temperature: "温度", wear: "磨损", lessons: "课程", screen: "屏幕", touch: "触摸", sound: "声音", network: "网络", power: "电源", cabling: "线缆", fixing: "固定", accessories: "配件", clean: "清洁", label: "标签",
  },
  assets: {
    note: "终端自动入账，其他设备人工登记或导入；谁主管、谁建设、谁运维都要写清",
    tab: { list: "台账", equipment: "班级配备", areas: "包区", inspections: "巡检" },
    kind: "种类", anyKind: "全部种类", count: "共 {count} 件", search: "编号、品牌、型号、序列号", worst: "该换的排前面", incomplete: "只看三方不全的", managed: "受管终端",
    what: "设备", who: "主管 / 建设 / 运维", bought: "购置", warranty: "质保到", health: "健康", missing: "未填", age: "{n} 年", tag: "资产编号", brand: "品牌", model: "型号", serial: "序列号", interactive: "可交互",
    none: "没有设备", noMatch: "没有符合条件的设备", edit: "修改", saved: "已保存", add: "登记设备", retire: "停用", retired: "已停用", noteLabel: "备注", template: "下载模板", import: "导入", importText: "先试读，不改台账；没有错误才可以导入。", trial: "试读", applied: "已导入：新增 {added}，修改 {changed}", would: "{rows} 行：新增 {added}，修改 {changed}，不变 {same}，错误 {errors}", row: "第 {row} 行",
    equipped: "配备多媒体的教学班", interactiveSets: "交互式班套", ratio: "交互式班套比", points: "一套都没有的村校和教学点", incompleteN: "三方不全的设备", classrooms: "教学班", without: "没有设备的班",
    area: "包区", region: "区域", vendor: "运维单位", schools: "学校", people: "负责人", tier: "第 {n} 级", tier0: "首先通知", noAreas: "还没有划分包区", newArea: "新建包区", name: "名称", remove: "删除", person: "账户编号",
    date: "日期", result: "结果", points_: "检查项", by: "检查", anyResult: "全部结果", noInspections: "这段时间没有巡检", console: "控制台", newInspection: "登记巡检", openOrder: "为有问题的项目开工单", recorded: "已登记",
  },
};
