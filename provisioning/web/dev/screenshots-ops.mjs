// The pages of operations for screenshots.mjs: incidents, alert settings, work orders, lines, reports, equipment.

/** Photographs them. */
export async function ops({ first, at, press, settle, page, base, get, list, school, device, PHONE }) {
  const open = (path, label) => async () => {
    await page.goto(base + path);
    await settle(page);
    await press(label);
    await page.waitForTimeout(500);
  };
  await first("ops-incidents", at("/incidents"));
  const incidents = list(await get("/incidents"));
  const storm = incidents.find((i) => i.kind === "area") ?? incidents[0];
  if (storm) {
    await first("ops-incident", at(`/incidents/${storm.id}`));
    const one = incidents.find((i) => !i.acknowledged_at && !i.resolved_at);
    if (one) await first("ops-incident-take", open(`/incidents/${one.id}`, /^(我来处理|I take it)$/));
  }
  await first("ops-orders", at("/orders"));
  await first("ops-orders-board", at("/orders?view=board"));
  await first("ops-orders-calendar", at("/orders?view=calendar"));
  await first("ops-orders-new", open("/orders", /^(新建工单|New order)$/));
  const order = list(await get("/orders?open=true")).find((o) => o.state === "on_site") ?? list(await get("/orders"))[0];
  if (order) await first("ops-order", at(`/orders/${order.id}`));
  for (const tab of ["rules", "notify", "maintenance"]) await first(`ops-alerts-${tab}`, at(`/alert-settings?tab=${tab}`));
  await first("ops-alerts-rule", async () => {
    await page.goto(`${base}/alert-settings`);
    await settle(page);
    await page.getByRole("button", { name: /: (修改规则|Change rule)$/ }).nth(2).click();
    await press(/^(试一试|Try it)$/);
    await page.waitForTimeout(600);
  });
  await first("ops-alerts-channel", open("/alert-settings?tab=notify", /^(新建渠道|New channel)$/));
  for (const tab of ["slas", "areas", "parts"]) await first(`ops-order-settings-${tab}`, at(`/order-settings?tab=${tab}`));
  await first("ops-bandwidth-rules", at("/bandwidth/rules"));
  await first("ops-bandwidth", at("/bandwidth"));
  await first("ops-bandwidth-tests", open("/bandwidth", /: (依据|Evidence)$/));
  await first("ops-bandwidth-settings", open("/bandwidth", /^(检测安排|How tests are planned)$/));
  if (school) await first("ops-wall-codes", at(`/wall-codes?at=school:${school.id}`));
  await first("ops-phone", at("/m"), PHONE);
  await first("ops-phone-inspect", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${base}/m`);
    await settle(page);
    await page.locator(".inspect").click();
    await page.waitForTimeout(500);
  }, PHONE);
  if (order) await first("ops-phone-order", at(`/m/orders/${order.id}`), PHONE);
  await first("ops-reports", at("/reports"));
  for (const tab of ["indicators", "data"]) await first(`ops-reports-${tab}`, at(`/reports?tab=${tab}`));
  await first("ops-reports-manual", async () => {
    await page.goto(`${base}/reports?tab=manual`);
    await settle(page);
    await page.locator(".el-tab-pane:visible .bar .el-select").first().click();
    await page.locator(".el-select-dropdown__item:visible").first().click();
    await page.waitForTimeout(400);
  });
  const report = list(await get("/reports"))[0];
  if (report) {
    await first("ops-report", at(`/reports/${report.id}`));
    await first("ops-report-rows", open(`/reports/${report.id}`, /: (明细|Rows) \d+$/));
  }
  for (const tab of ["list", "equipment", "inspections"]) await first(`ops-assets-${tab}`, at(`/assets?tab=${tab}`));
  await first("ops-assets-edit", open("/assets", /: (修改|Change)$/));
  await first("ops-registers", at("/registers"));
  if (device) {
    await first("ops-device-series", at(`/devices/${device.id}?tab=health`));
    await first("ops-device-events", at(`/devices/${device.id}?tab=events`));
  }
}
