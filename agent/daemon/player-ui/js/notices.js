/* What lies over every view: notices from the county, the dark screen, the card about this terminal. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var dismissed = {};
  var strip = h('div', { 'class': 'notices', role: 'status' });
  var urgent = null, dark = null, info = null;

  function keyOf(notice) { return notice.id || [notice.level, notice.title, notice.text].join('\n'); }

  function pauseMedia() {
    [].forEach.call(document.querySelectorAll('video, audio'), function (media) { media.pause(); });
  }

  function remove(element) {
    if (element && element.parentNode) { element.parentNode.removeChild(element); }
  }

  function dismiss(notice) {
    return function () {
      dismissed[keyOf(notice)] = true;
      BBT.notices.update();
    };
  }

  /* Short words are written large: the whole class has to read them. */
  function size(notice) {
    var length = (notice.title || '').length + (notice.text || '').length;
    return length <= 80 ? 'short' : length <= 200 ? 'middle' : 'long';
  }

  function drawUrgent(notice) {
    var key = notice ? keyOf(notice) + BBT.language : null;
    var button;
    if (urgent && urgent.key === key) { return; }
    if (urgent) { remove(urgent.el); urgent = null; }
    if (!notice) { return; }
    button = BBT.button({ icon: 'check', text: t('notice.dismiss'), 'class': 'button-large', onclick: dismiss(notice) });
    urgent = {
      key: key,
      el: h('div', { 'class': 'urgent urgent-' + size(notice), role: 'alertdialog', 'aria-label': notice.title }, [
        h('div', { 'class': 'urgent-label' }, [BBT.icon('bell'), h('span', { text: t('notice.urgent') })]),
        h('h1', { text: notice.title }),
        h('p', { text: notice.text }),
        button
      ])
    };
    pauseMedia();
    BBT.light();
    document.body.appendChild(urgent.el);
    button.focus();
  }

  BBT.notices = {
    strip: strip,

    update: function () {
      /* A locked board says whom to call, and nothing else; in an exam nothing pops up. */
      var list = BBT.membership().state === 'locked' || /on-exam/.test(document.body.className) ? [] : (BBT.data.shelf && BBT.data.shelf.notices) || [];
      var present = {}, waiting;
      list.forEach(function (notice) { present[keyOf(notice)] = true; });
      /* A notice that was withdrawn and sent again is shown again. */
      Object.keys(dismissed).forEach(function (key) { if (!present[key]) { delete dismissed[key]; } });
      waiting = list.filter(function (notice) { return !dismissed[keyOf(notice)]; });
      BBT.empty(strip);
      waiting.filter(function (notice) { return notice.level !== 'urgent'; }).slice(0, 2).forEach(function (notice) {
        strip.appendChild(h('div', { 'class': 'notice' }, [
          BBT.icon('bell'),
          h('strong', { text: notice.title }),
          h('span', { 'class': 'notice-text', text: notice.text }),
          BBT.button({ text: t('notice.dismiss'), onclick: dismiss(notice) })
        ]));
      });
      drawUrgent(waiting.filter(function (notice) { return notice.level === 'urgent'; })[0] || null);
    },

    /* True when a key was meant for what lies on top. */
    key: function (event) {
      if (dark) { BBT.light(); event.preventDefault(); return true; }
      if (urgent) { return true; }
      if (info) { if (event.key === 'Escape') { BBT.closeInfo(); } return true; }
      /* Where something is typed, B is one of its letters. */
      if ((event.key === 'b' || event.key === 'B') && !/on-(unenrolled|enrol|locked|exam|search|own)/.test(document.body.className) &&
        !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) { BBT.blackout(); return true; }
      return false;
    }
  };

  /* The class looks at the teacher: screen black and silent until touched. */
  BBT.blackout = function () {
    if (dark || BBT.membership().state === 'locked' || /on-exam/.test(document.body.className)) { return; }
    pauseMedia();
    dark = h('div', { 'class': 'dark', onclick: function () { BBT.light(); } });
    document.body.appendChild(dark);
  };

  BBT.light = function () {
    remove(dark);
    dark = null;
  };

  BBT.closeInfo = function () {
    remove(info);
    info = null;
  };

  BBT.showInfo = function () {
    var shelf = BBT.data.shelf, place, disk, seen, ready, rows;
    if (!shelf || info || BBT.membership().state === 'locked') { return; }
    place = shelf.device && typeof shelf.device.placement === 'object' ? shelf.device.placement || {} : {};
    disk = shelf.disk || {};
    seen = BBT.data.consoleSeen();
    ready = shelf.counts ? shelf.counts.ready : 0;
    place = shelf.device ? place : BBT.membership().place || place;
    rows = [
      ['info.region', place.region], ['info.school', place.school], ['info.classroom', place.classroom],
      ['info.device', shelf.device && shelf.device.id],
      ['info.link', t(shelf.online ? 'status.online' : 'status.offline') + ' · ' +
        (BBT.membership().state === 'provisional' ? t('status.provisional') : !shelf.device && !shelf.preparing ? t('status.not_enrolled') : seen === null ? t('status.never') : t('status.seen', { ago: BBT.ago(seen) }))],
      ['info.lessons', t('info.lessons_value', { ready: ready, total: shelf.counts ? shelf.counts.total : 0 })],
      ['info.disk', disk.total_bytes
        ? t('info.disk_value', { free: BBT.bytes(disk.free_bytes), total: BBT.bytes(disk.total_bytes) }) : null]
    ];
    info = h('div', {
      'class': 'sheet', onclick: function (event) { if (event.target === info) { BBT.closeInfo(); } }
    }, [h('div', { 'class': 'sheet-card', role: 'dialog', 'aria-label': t('info.title') }, [
      h('h2', { text: t('info.title') }),
      h('dl', {}, rows.map(function (row) {
        return h('div', {}, [h('dt', { text: t(row[0]) }), h('dd', { text: row[1] || t('info.unknown') })]);
      })),
      BBT.button({ text: t('app.close'), 'class': 'button-primary', onclick: BBT.closeInfo })
    ])]);
    document.body.appendChild(info);
    info.querySelector('.button').focus();
  };
}());
