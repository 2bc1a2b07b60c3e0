/* Sentences of home, search and the pages around them, zh-CN first. */
(function () {
  'use strict';
  window.BBT.addMessages({
    'zh-CN': {
      'date.day': '{month}月{day}日',
      'date.weekday1': '星期一', 'date.weekday2': '星期二', 'date.weekday3': '星期三', 'date.weekday4': '星期四',
      'date.weekday5': '星期五', 'date.weekday6': '星期六', 'date.weekday7': '星期日',
      'about.moment': '不到 1 分钟', 'about.minutes': '约 {n} 分钟', 'about.hours': '约 {n} 小时',
      'list.comma': '，', 'list.colon': '：',

      'home.home': '首页', 'home.back': '返回', 'home.search': '搜索', 'home.all': '全部课程', 'home.help': '求助', 'home.fault': '报修', 'home.more': '更多',
      'home.shelf': '按学科选课', 'home.today': '今天', 'home.week': '第 {n} 周', 'home.timetable': '课表', 'home.no_clock': '时间未校准',
      'home.no_timetable': '还没有课表。县平台下发，或在“更多 › 设置”里从 U 盘取入。',
      'home.holiday': '放假：{name}', 'home.no_periods': '今天没有课', 'home.resume': '继续上次', 'home.resume_none': '上过的课会留在这里',
      'home.choose': '选一课', 'home.go_on': '继续上课', 'home.other_lesson': '另选一课', 'home.not_planned': '这节课没有预先安排', 'home.not_here': '安排的课还不在本机上',
      'home.suggested': '接着上次', 'home.look': '看看本课的 {n} 项内容',
      'hero.free': '想上哪一课？', 'hero.free_text': '本机有 {n} 课可以上',
      'hero.over': '今天的课上完了', 'hero.over_text': '明天的课见右下角',
      'hero.no_class': '今天没有课', 'hero.no_class_text': '本机有 {n} 课可以看',
      'hero.no_clock': '想上哪一课？', 'hero.no_clock_text': '终端时间未校准，暂不能指出是哪一节',
      'hero.holiday': '今天放假', 'hero.holiday_text': '{name}',
      'hero.unready': '还没有能上的课', 'hero.unready_text': '有 {n} 课不能上，点“选一课”看原因',
      'hero.empty': '还没有课程', 'hero.empty_text': '县平台推送的课程会自动出现在这里',
      'hero.preparing': '正在打开课程…', 'hero.preparing_text': '终端正在核对本机上的课程',
      'period.number': '第 {n} 节', 'period.now': '正在上课', 'period.next': '下一节', 'period.later': '稍后', 'period.past': '已下课',
      'tomorrow.green': '明日课程已备好', 'tomorrow.yellow': '明日课程未齐', 'tomorrow.red': '明日缺课程', 'tomorrow.unknown': '明日课表未知',
      'tomorrow.n_missing': '缺 {n} 课', 'tomorrow.n_withdrawn': '下架 {n} 课', 'tomorrow.n_arriving': '{n} 课在路上', 'tomorrow.n_not_planned': '{n} 节没有安排', 'tomorrow.n_ready': '{n} 课可以上',
      'tomorrow.why_ready': '可以上课', 'tomorrow.why_arriving': '正在路上', 'tomorrow.why_missing': '缺少', 'tomorrow.why_withdrawn': '已下架', 'tomorrow.why_not_planned': '没有安排',
      'tomorrow.no_date': '没有课表，或终端时间未校准', 'tomorrow.none_title': '没有明日课表', 'tomorrow.none_text': '有了课表就能看出备课情况',
      'arriving.title': '正在接收', 'arriving.none': '没有在接收的课程', 'arriving.none_title': '都收齐了',
      'arriving.words': '正在接收 {n} 课 {percent}%', 'arriving.eta': '，{about}', 'arriving.waiting': '{n} 课等候接收', 'arriving.next_at': '，{time} 再看',
      'state.waiting': '排队',

      'shelf.own': '校本', 'shelf.previous': '上一页', 'shelf.next': '下一页', 'shelf.page': '{n} / {total}', 'shelf.all_chapters': '全部章节',

      'check.short': '课前检查', 'check.title': '正在检查…', 'check.all_good': '都好了，可以上课', 'check.some': '请看黄色和红色的几项', 'check.failed': '没能检查', 'check.again': '再查一次', 'check.looking': '正在看…',
      'check.part_network': '网络', 'check.part_sound': '声音', 'check.part_lesson': '下一课', 'check.part_clock': '时间', 'check.unmute': '打开声音', 'check.listen': '试音', 'check.heard': '听到了', 'check.not_heard': '没听到', 'check.heard_too': '您听到了试音。',
      'check.live': '直播课堂', 'check.no_app': '县里没有给本机设置直播课堂。', 'check.open': '打开', 'check.end': '关闭', 'check.opening': '正在打开…', 'check.anyway': '还是打开', 'check.good': '网络可以直播', 'check.poor': '网络不够好', 'check.instead': '不用网络就能上', 'check.take': '上本机的课',
      'check.elsewhere': '课前检查只能在终端自己的屏幕上做。',

      'key.delete': '退格', 'key.chinese': '拼音', 'key.letters': '字母', 'key.more': '更多字', 'key.fewer': '前面的字', 'key.candidates': '候选字', 'key.clear': '清空', 'key.space': '空格',
      'search.placeholder': '课名、拼音或首字母', 'search.count': '找到 {n} 个', 'search.none_title': '没有找到', 'search.none_text': '试试拼音首字母，或少打几个字。',
      'search.how': '打拼音或首字母就能找到', 'search.example1': 'sjx', 'search.example1_text': '三角形：首字母', 'search.example2': 'guanchao', 'search.example2_text': '观潮：全拼',
      'search.example3': 'sx 3 xiaoshu', 'search.example3_text': '数学 三年级 小数：混着打',

      'pin.digits': 'PIN', 'pin.ok': '确定', 'pin.cancel': '取消',

      'help.call': '需要帮助，请拨打', 'help.no_office': '县里还没有下发求助电话，请联系学校管理员', 'help.say': '告诉对方：{name}',
      'help.first': '先试一试', 'help.step1': '看电源和网线', 'help.step1_text': '插头插紧，指示灯亮着。没有网络也能上课。',
      'help.step2': '关机等 10 秒再开', 'help.step2_text': '大多数卡顿和触摸失灵会好。', 'help.step3': '还不行就报修', 'help.step3_text': '点右下角“报修”，或把诊断二维码拍给技术人员。',

      'more.language_text': 'Switch to English', 'more.diag_text': '拍一张照片就能看出毛病', 'more.info_text': '教室、网络、剩余空间', 'more.privacy_text': '哪些数据会离开本机',
      'more.own': '校本课', 'more.own_text': '用 U 盘里的资料做课', 'more.settings_text': '技术人员使用',

      'fault.what': '哪里坏了？', 'fault.which': '是什么情况？', 'fault.unsure': '说不清', 'fault.before': '报修记录', 'fault.none': '还没有报修过', 'fault.elsewhere': '报修请在终端自己的屏幕上点。',
      'fault.sent': '已报修：{what}', 'fault.sent_online': '正在发给县里的维修人员，修好后这里会问您。', 'fault.sent_offline': '现在没有网络，已经记下，联网后自动发出。',
      'fault.display': '屏幕', 'fault.touch': '触摸', 'fault.sound': '声音', 'fault.network': '网络', 'fault.power': '电源', 'fault.accessory': '遥控器和外设', 'fault.body': '机身和线缆', 'fault.software': '软件', 'fault.lesson': '课程内容', 'fault.other': '其他',
      'symptom.display.black': '黑屏', 'symptom.display.flicker': '闪烁', 'symptom.display.colour': '颜色不对', 'symptom.display.blurred': '模糊',
      'symptom.touch.none': '点了没反应', 'symptom.touch.offset': '点不准', 'symptom.touch.part': '有一块失灵',
      'symptom.sound.none': '没有声音', 'symptom.sound.low': '声音太小', 'symptom.sound.noise': '有杂音',
      'symptom.network.offline': '连不上', 'symptom.network.slow': '很慢',
      'symptom.power.restarts': '自己重启', 'symptom.power.off': '开不了机', 'symptom.power.slow_start': '开机很慢',
      'symptom.accessory.remote': '遥控器', 'symptom.accessory.pen': '笔', 'symptom.accessory.usb': 'U 盘口', 'symptom.accessory.camera': '展台',
      'symptom.body.loose': '松动', 'symptom.body.cable': '线缆破损', 'symptom.body.noise': '有异响',
      'symptom.software.hangs': '卡住不动', 'symptom.software.error': '出现错误提示', 'symptom.software.slow': '很慢',
      'symptom.lesson.not_playing': '放不出来', 'symptom.lesson.wrong': '内容有错', 'symptom.lesson.missing': '缺内容',

      'repair.waiting': '等联网后发出', 'repair.received': '县里已收到', 'repair.under_way': '正在维修', 'repair.fixed': '说已修好，请确认', 'repair.confirmed': '已修好', 'repair.reopened': '又报了一次', 'repair.closed': '已结束',
      'repair.ask_short': '修好了吗？', 'repair.answer': '去确认', 'repair.ask': '{what}：修好了吗？', 'repair.ask_text': '维修人员说已经修好，请试一试再回答。',
      'repair.yes': '修好了', 'repair.no': '还没有', 'repair.thanks': '谢谢，已记下', 'repair.thanks_text': '这次报修到此结束。', 'repair.again': '已告诉维修人员', 'repair.again_text': '他们会再来看。', 'repair.gone': '这个报修已经结束',

      'diag.title': '诊断二维码', 'diag.how': '用手机拍下这张图，发给技术人员就行。', 'diag.note': '图里只有设备状态，没有任何人的信息。', 'diag.again': '重新诊断',

      'privacy.title': '隐私看得见', 'privacy.text': '会离开本机的数据全部列在这里，除此之外没有别的。', 'privacy.never': '从不收集', 'privacy.count': '{n} 项',

      'settings.title': '设置', 'settings.pin': '请输入技术人员 PIN', 'settings.pin_text': '设置由县里的技术人员使用', 'settings.no_pin': '设置没有开放', 'settings.no_pin_text': '县里还没有给本机下发技术人员 PIN。',
      'settings.elsewhere': '设置只能在终端自己的屏幕上改。', 'settings.on': '开', 'settings.off': '关', 'settings.language': '语言', 'settings.language_text': '开机时用的语言', 'settings.in_zh-CN': '中文', 'settings.in_en': 'English',
      'settings.usb': '播放 U 盘里的文件', 'settings.usb_text': '老师自带的视频、图片、文档', 'settings.kept': '已保存',
      'settings.timetable': '课表', 'settings.timetable_console': '由县平台下发', 'settings.timetable_local': '从 U 盘取入的', 'settings.timetable_none': '还没有课表',
      'settings.from_disk': '从 U 盘取入', 'settings.clear': '删除', 'settings.cleared': '已删除', 'settings.looking': '正在看 U 盘…', 'settings.no_disk': '没有插 U 盘', 'settings.no_file': 'U 盘根目录里没有 CSES 课表（.yaml）', 'settings.timetable_taken': '课表已取入',
      'settings.weeks': '本周是单周还是双周？', 'settings.weeks_text': '这份课表分单双周', 'settings.odd': '单周', 'settings.even': '双周',

      'exam.title': '考试进行中', 'exam.soon': '即将考试', 'exam.soon_text': '{name} {time} 开始，届时本机静音', 'exam.until': '{from} – {to}', 'exam.open': '监考：听力', 'exam.pin': '请输入监考 PIN',
      'exam.pin_wrong': 'PIN 不对，还可以试 {n} 次', 'exam.locked': '试错太多，请等 {n} 秒', 'exam.choose': '选择听力', 'exam.no_audio': '本机上没有听力音频', 'exam.other_audio': '另选', 'exam.close': '结束听力',
      'maintenance.title': '本机暂停播放', 'maintenance.text': '课程和 U 盘暂时不能播放。', 'maintenance.nobody': '要用时，请找学校管设备的老师。', 'maintenance.since': '{time} 起', 'maintenance.open': '技术员：解锁', 'maintenance.pin': '请输入技术员 PIN'
    },
    'en': {
      'date.day': '{month}/{day}',
      'date.weekday1': 'Monday', 'date.weekday2': 'Tuesday', 'date.weekday3': 'Wednesday', 'date.weekday4': 'Thursday',
      'date.weekday5': 'Friday', 'date.weekday6': 'Saturday', 'date.weekday7': 'Sunday',
      'about.moment': 'under 1 min', 'about.minutes': 'about {n} min', 'about.hours': 'about {n} h',
      'list.comma': ', ', 'list.colon': ': ',

      'home.home': 'Home', 'home.back': 'Back', 'home.search': 'Search', 'home.all': 'All lessons', 'home.help': 'Help', 'home.fault': 'Repair', 'home.more': 'More',
      'home.shelf': 'Lessons by subject', 'home.today': 'Today', 'home.week': 'Week {n}', 'home.timetable': 'Timetable', 'home.no_clock': 'Clock not set',
      'home.no_timetable': 'No timetable yet. The county sends one, or take one from a USB disk under “More › Settings”.',
      'home.holiday': 'Holiday: {name}', 'home.no_periods': 'No classes today', 'home.resume': 'Continue', 'home.resume_none': 'Lessons you opened stay here',
      'home.choose': 'Choose a lesson', 'home.go_on': 'Go on', 'home.other_lesson': 'Another lesson', 'home.not_planned': 'Nothing is planned for this period', 'home.not_here': 'The planned lesson is not here yet',
      'home.suggested': 'Where you stopped', 'home.look': 'See its {n} items',
      'hero.free': 'Which lesson?', 'hero.free_text': '{n} lessons are ready here',
      'hero.over': 'Done for today', 'hero.over_text': 'Tomorrow is at the lower right',
      'hero.no_class': 'No classes today', 'hero.no_class_text': '{n} lessons are ready here',
      'hero.no_clock': 'Which lesson?', 'hero.no_clock_text': 'The clock is not set, so the period is not known',
      'hero.holiday': 'Holiday', 'hero.holiday_text': '{name}',
      'hero.unready': 'No lesson is ready yet', 'hero.unready_text': 'Lessons that cannot be taught: {n}. Choose one to see why',
      'hero.empty': 'No lessons yet', 'hero.empty_text': 'Lessons sent by the county appear here by themselves',
      'hero.preparing': 'Opening the lessons…', 'hero.preparing_text': 'The terminal checks the lessons it holds',
      'period.number': 'Period {n}', 'period.now': 'Now', 'period.next': 'Next', 'period.later': 'Later', 'period.past': 'Over',
      'tomorrow.green': 'Tomorrow is ready', 'tomorrow.yellow': 'Tomorrow: not all here', 'tomorrow.red': 'Tomorrow: missing', 'tomorrow.unknown': 'Tomorrow unknown',
      'tomorrow.n_missing': '{n} missing', 'tomorrow.n_withdrawn': '{n} withdrawn', 'tomorrow.n_arriving': '{n} on the way', 'tomorrow.n_not_planned': '{n} not planned', 'tomorrow.n_ready': '{n} ready',
      'tomorrow.why_ready': 'Ready', 'tomorrow.why_arriving': 'On its way', 'tomorrow.why_missing': 'Missing', 'tomorrow.why_withdrawn': 'Withdrawn', 'tomorrow.why_not_planned': 'Not planned',
      'tomorrow.no_date': 'No timetable, or the clock is not set', 'tomorrow.none_title': 'No timetable for tomorrow', 'tomorrow.none_text': 'With a timetable this shows what is ready',
      'arriving.title': 'Arriving', 'arriving.none': 'Nothing is on its way', 'arriving.none_title': 'All here',
      'arriving.words': '{n} lessons arriving, {percent}%', 'arriving.eta': ', {about}', 'arriving.waiting': '{n} lessons wait', 'arriving.next_at': ', next look at {time}',
      'state.waiting': 'Queued',

      'shelf.own': 'School', 'shelf.previous': 'Previous page', 'shelf.next': 'Next page', 'shelf.page': '{n} / {total}', 'shelf.all_chapters': 'All chapters',

      'check.short': 'Check', 'check.title': 'Looking…', 'check.all_good': 'All is ready', 'check.some': 'See what is yellow or red', 'check.failed': 'The check failed', 'check.again': 'Check again', 'check.looking': 'Looking…',
      'check.part_network': 'Network', 'check.part_sound': 'Sound', 'check.part_lesson': 'Next lesson', 'check.part_clock': 'Clock', 'check.unmute': 'Sound on', 'check.listen': 'Try it', 'check.heard': 'I hear it', 'check.not_heard': 'Not heard', 'check.heard_too': ' You heard the sound.',
      'check.live': 'Live class', 'check.no_app': 'The county has set up no live class here.', 'check.open': 'Open', 'check.end': 'Close', 'check.opening': 'Opening…', 'check.anyway': 'Open all the same', 'check.good': 'The network will do', 'check.poor': 'The network is poor', 'check.instead': 'Needs no network', 'check.take': 'Take this lesson',
      'check.elsewhere': 'The check is made on the terminal’s own screen.',

      'key.delete': 'Delete', 'key.chinese': 'Pinyin', 'key.letters': 'Letters', 'key.more': 'More characters', 'key.fewer': 'Characters before', 'key.candidates': 'Characters', 'key.clear': 'Clear', 'key.space': 'Space',
      'search.placeholder': 'Title, pinyin or initials', 'search.count': '{n} found', 'search.none_title': 'Nothing found', 'search.none_text': 'Try the initials of the pinyin, or fewer letters.',
      'search.how': 'Type pinyin or its initials', 'search.example1': 'sjx', 'search.example1_text': 'san jiao xing: initials', 'search.example2': 'guanchao', 'search.example2_text': 'full pinyin',
      'search.example3': 'sx 3 xiaoshu', 'search.example3_text': 'maths, grade 3, decimals: mixed',

      'pin.digits': 'PIN', 'pin.ok': 'OK', 'pin.cancel': 'Cancel',

      'help.call': 'For help, call', 'help.no_office': 'The county has not sent a number yet; ask the school’s administrator', 'help.say': 'Say: {name}',
      'help.first': 'Try first', 'help.step1': 'Look at power and network cable', 'help.step1_text': 'Plugs are tight, lamps are lit. Lessons work without a network.',
      'help.step2': 'Switch off, wait 10 s, switch on', 'help.step2_text': 'Most hangs and dead touch screens recover.', 'help.step3': 'Then report it', 'help.step3_text': 'Tap “Repair” below, or send a photo of the fault code.',

      'more.language_text': '切换到中文', 'more.diag_text': 'A photo of it tells what is wrong', 'more.info_text': 'Classroom, network, free space', 'more.privacy_text': 'What data leaves this terminal',
      'more.own': 'School lessons', 'more.own_text': 'Make a lesson of files on a USB disk', 'more.settings_text': 'For technicians',

      'fault.what': 'What is broken?', 'fault.which': 'what exactly?', 'fault.unsure': 'Hard to say', 'fault.before': 'Reported', 'fault.none': 'Nothing reported yet', 'fault.elsewhere': 'Please report it on the terminal’s own screen.',
      'fault.sent': 'Reported: {what}', 'fault.sent_online': 'It goes to the county’s technicians now; you will be asked here when it is mended.', 'fault.sent_offline': 'There is no network; it is noted and goes out by itself later.',
      'fault.display': 'Screen', 'fault.touch': 'Touch', 'fault.sound': 'Sound', 'fault.network': 'Network', 'fault.power': 'Power', 'fault.accessory': 'Remote and devices', 'fault.body': 'Case and cables', 'fault.software': 'Software', 'fault.lesson': 'Lesson content', 'fault.other': 'Something else',
      'symptom.display.black': 'Black', 'symptom.display.flicker': 'Flickers', 'symptom.display.colour': 'Wrong colours', 'symptom.display.blurred': 'Blurred',
      'symptom.touch.none': 'No response', 'symptom.touch.offset': 'Off the mark', 'symptom.touch.part': 'Part of it is dead',
      'symptom.sound.none': 'No sound', 'symptom.sound.low': 'Too quiet', 'symptom.sound.noise': 'Noise',
      'symptom.network.offline': 'No connection', 'symptom.network.slow': 'Slow',
      'symptom.power.restarts': 'Restarts by itself', 'symptom.power.off': 'Does not start', 'symptom.power.slow_start': 'Starts slowly',
      'symptom.accessory.remote': 'Remote control', 'symptom.accessory.pen': 'Pen', 'symptom.accessory.usb': 'USB port', 'symptom.accessory.camera': 'Document camera',
      'symptom.body.loose': 'Loose', 'symptom.body.cable': 'Damaged cable', 'symptom.body.noise': 'Strange noise',
      'symptom.software.hangs': 'Hangs', 'symptom.software.error': 'Shows an error', 'symptom.software.slow': 'Slow',
      'symptom.lesson.not_playing': 'Does not play', 'symptom.lesson.wrong': 'Has a mistake', 'symptom.lesson.missing': 'Something is missing',

      'repair.waiting': 'Goes out with the network', 'repair.received': 'The county has it', 'repair.under_way': 'Being repaired', 'repair.fixed': 'Said to be mended, please confirm', 'repair.confirmed': 'Mended', 'repair.reopened': 'Reported again', 'repair.closed': 'Closed',
      'repair.ask_short': 'Mended?', 'repair.answer': 'Answer', 'repair.ask': '{what}: is it mended?', 'repair.ask_text': 'The technicians say so. Please try it and answer.',
      'repair.yes': 'It works', 'repair.no': 'Not yet', 'repair.thanks': 'Thank you, noted', 'repair.thanks_text': 'This report is closed.', 'repair.again': 'The technicians are told', 'repair.again_text': 'They will look at it again.', 'repair.gone': 'This report is closed already',

      'diag.title': 'Fault code', 'diag.how': 'Take a photo of this picture and send it to the technician.', 'diag.note': 'It holds the state of the terminal, and nothing of a person.', 'diag.again': 'Look again',

      'privacy.title': 'What leaves this terminal', 'privacy.text': 'Everything that leaves this terminal is listed here; there is nothing else.', 'privacy.never': 'Never collected', 'privacy.count': '{n} fields',

      'settings.title': 'Settings', 'settings.pin': 'Technician’s PIN', 'settings.pin_text': 'Settings are for the county’s technicians', 'settings.no_pin': 'Settings are closed', 'settings.no_pin_text': 'The county has not sent a technician’s PIN to this terminal.',
      'settings.elsewhere': 'Settings change only on the terminal’s own screen.', 'settings.on': 'On', 'settings.off': 'Off', 'settings.language': 'Language', 'settings.language_text': 'The language after power-up', 'settings.in_zh-CN': '中文', 'settings.in_en': 'English',
      'settings.usb': 'Play files of USB disks', 'settings.usb_text': 'Videos, pictures and documents of teachers', 'settings.kept': 'Saved',
      'settings.timetable': 'Timetable', 'settings.timetable_console': 'From the county', 'settings.timetable_local': 'From a USB disk', 'settings.timetable_none': 'None yet',
      'settings.from_disk': 'Take from USB disk', 'settings.clear': 'Remove', 'settings.cleared': 'Removed', 'settings.looking': 'Looking at the disk…', 'settings.no_disk': 'No USB disk is plugged in', 'settings.no_file': 'No CSES timetable (.yaml) at the top of the disk', 'settings.timetable_taken': 'Timetable taken',
      'settings.weeks': 'Is this week odd or even?', 'settings.weeks_text': 'This timetable tells odd from even weeks', 'settings.odd': 'Odd', 'settings.even': 'Even',

      'exam.title': 'Examination', 'exam.soon': 'Exam soon', 'exam.soon_text': '{name} begins at {time}; this terminal falls silent then', 'exam.until': '{from} – {to}', 'exam.open': 'Invigilator: listening', 'exam.pin': 'Invigilator’s PIN',
      'exam.pin_wrong': 'Wrong PIN, {n} tries left', 'exam.locked': 'Too many tries, wait {n} s', 'exam.choose': 'Choose the audio', 'exam.no_audio': 'There is no listening audio here', 'exam.other_audio': 'Another', 'exam.close': 'End listening',
      'maintenance.title': 'Playing is stopped on this board', 'maintenance.text': 'Lessons and USB disks do not play for now.', 'maintenance.nobody': 'Ask whoever looks after the devices of your school.', 'maintenance.since': 'since {time}', 'maintenance.open': 'Technician: unlock', 'maintenance.pin': 'Technician’s PIN'
    }
  });
}());
