/** What all lists have alike: order, columns, saved views; and the palette. */
export default {
  list: {
    clear: "清除筛选", noMatch: "没有符合条件的内容", noMatchText: "换个条件，或清除筛选。",
    export: "导出", exportText: "按现在的筛选导出全部结果（CSV，可用表格软件打开）",
    columns: "显示的列", usualColumns: "恢复默认列", size: "每页行数", sizeOf: "每页 {n} 行",
    sortBy: "{column}，{order}，按此列排序", order: { ascending: "现为升序", descending: "现为降序", none: "未排序" },
    tick: "选择 {name}", tickPage: "选择本页全部",
    ticked: "已选 {count} 项", untick: "取消选择", tickAll: "改选符合条件的全部 {count} 台", tickedAll: "已选符合条件的全部 {count} 台",
  },
  views: {
    title: "视图", none: "还没有保存的视图。筛选、排序好以后，可以存下来随时再看，也可以共享给同事。",
    save: "保存当前视图", saved: "视图已保存", edit: "修改与共享", editOf: "修改与共享 {name}", remove: "删除", removeOf: "删除 {name}",
    removeText: "删除视图“{name}”？只是删掉这个名字，终端和数据不受影响。", removeShared: "删除视图“{name}”？它是共享的，删除后别人也看不到了。终端和数据不受影响。", removed: "视图已删除",
    by: "{owner} 共享", sharedWith: "已共享给 {place}", everybody: "所有人", name: "名称", nameHint: "例如：云溪镇离线超过一天",
    take: "同时改成现在的筛选、排序和列", who: "谁能看到", own: "只有我", withPlace: "共享给一个区域或学校", withAll: "共享给所有人",
    shareText: "在该处及其上级、下级有角色的人都能看到这个视图；每个人只看得到自己有权看的行。",
  },
  palette: {
    open: "搜索", openText: "搜索页面、终端、学校、课程、工单", title: "跳转到", hint: "输入页面、终端、学校或课程的名字，或工单号",
    pages: "页面", devices: "终端", schools: "学校", lessons: "课程", orders: "工单", order: "工单 {number}", incident: "事件 {number}", incidents: "事件",
    found: "{count} 个结果", nothing: "没有找到“{query}”", failed: "有的结果取不到：{message}", keys: "↑ ↓ 选择，回车打开，Esc 关闭", searching: "正在查找…",
  },
  lessons: { owner: "归属" },
  pushes: { count: "共 {count} 次推送", neededBy: "最晚送达", by: "推送人" },
  incidents: { ended: "结束" },
  assets: { warrantyUntil: "质保到期" },
};
