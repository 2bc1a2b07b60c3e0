/* A USB disk or disc: what lesson packs are on it, how far the import is, and what to do: take, stop, let go, or open the
   teacher's own files on it.
   Asks `api/disks`, whose questions are answered only on the board's own screen. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var IDLE_MS = 4000, BUSY_MS = 1000, TIMEOUT_MS = 10000;
  var el = h('div', { 'class': 'disks', role: 'status' });
  var disks = null, drawn = '', asking = false, answer = null, timer = null, hidden = '', told = null;

  function said(note) { return BBT.language === 'en' ? note.en : note.zh; }

  function request(method, path, body, done) {
    var call = new XMLHttpRequest();
    call.open(method, path);
    call.timeout = method === 'GET' ? TIMEOUT_MS : 70000;
    call.setRequestHeader('Accept-Language', BBT.language);
    if (body) {
      call.setRequestHeader('Content-Type', 'application/json');
      call.setRequestHeader('X-BBT-Page', '1');
      call.setRequestHeader('X-BBT-Token', BBT.api.token());
    }
    call.onload = function () {
      var parsed = null;
      try { parsed = JSON.parse(call.responseText); } catch (e) { /* said below */ }
      done(call.status === 200, parsed);
    };
    call.onerror = call.ontimeout = function () { done(false, null); };
    call.send(body ? JSON.stringify(body) : null);
  }

  function refresh() {
    window.clearTimeout(timer);
    request('GET', 'api/disks', null, function (ok, parsed) {
      var busy;
      if (ok && parsed && parsed.disks) { disks = parsed; }
      if (told) { told(); }
      busy = disks && disks.disks.some(function (disk) { return disk.state === 'importing'; });
      update();
      timer = window.setTimeout(refresh, busy ? BUSY_MS : IDLE_MS);
    });
  }

  function ask(disk, verb) {
    asking = true;
    answer = null;
    update();
    request('POST', 'api/disks/' + encodeURIComponent(disk.id) + '/' + verb, {}, function (ok, parsed) {
      asking = false;
      answer = { disk: disk.id, ok: ok, text: (parsed && parsed.message) || t('disk.no_answer') };
      refresh();
    });
  }

  function words(disk) {
    if (answer && answer.disk === disk.id && !answer.ok) { return answer.text; }
    if (disk.state === 'importing') {
      return t('disk.importing', {
        title: disk.importing || '', percent: Math.floor(100 * Math.min(1, disk.done_bytes / Math.max(1, disk.total_bytes)))
      });
    }
    if (disk.note && (disk.note.problem || disk.state === 'ejected')) { return said(disk.note); }
    if (disk.offered) { return t('disk.offered', { n: disk.offered, size: BBT.bytes(disk.offered_bytes) }); }
    if (disk.note) { return said(disk.note); }
    if (!disk.packs.length) { return t('disk.files'); }
    return disk.found > disk.verified ? t('disk.some_refused', { n: disk.found - disk.verified }) : t('disk.all_here');
  }

  function card(disk, local) {
    var title = disk.packs.length ? disk.packs.map(function (pack) {
      return pack.title + (pack.volume ? ' ' + pack.volume : '');
    }).join('、') : disk.name;
    var bad = disk.note && disk.note.problem;
    var fill = h('div', { 'class': 'progress-fill' });
    var buttons = [];
    function button(text, verb) {
      buttons.push(BBT.button({ text: text, onclick: function () { if (!asking) { ask(disk, verb); } } }));
    }
    fill.style.width = Math.min(100, 100 * disk.done_bytes / Math.max(1, disk.total_bytes)) + '%';
    if (local && disk.state === 'importing') { button(t('disk.stop'), 'stop'); }
    if (local && disk.state === 'idle' && disk.offered) { button(t('disk.take', { n: disk.offered }), 'import'); }
    if (local && disk.files) {
      buttons.push(BBT.button({ icon: 'folder', text: t('disk.open'), 'class': 'button-files', onclick: function () { BBT.go(BBT.usbHash(disk.id, '')); } }));
    }
    /* What only lies there and is read needs no farewell. */
    if (local && disk.packs.length && (disk.state === 'idle' || disk.state === 'importing')) { button(t('disk.eject'), 'eject'); }
    if (!local && disk.offered) { buttons.push(h('small', { text: t('disk.on_board') })); }
    return h('div', { 'class': 'banner disk' + (bad ? ' disk-bad' : '') }, [
      BBT.icon(bad ? 'warn' : 'usb'),
      h('strong', { text: title }),
      h('span', { 'class': 'banner-text' }, [
        h('span', { text: words(disk) }),
        disk.state === 'importing' ? h('div', { 'class': 'progress' }, [fill]) : null
      ])
    ].concat(buttons));
  }

  function update() {
    /* Not over what plays: a disk is no reason to disturb a class. */
    var where = document.body.className;
    var quiet = where.indexOf('immersive') >= 0 || where.indexOf('on-item') >= 0 || where.indexOf('on-locked') >= 0 || where.indexOf('on-usb') >= 0 || where.indexOf('on-own') >= 0 || where.indexOf('on-exam') >= 0;
    var now = JSON.stringify([disks, answer, asking, BBT.language, quiet, hidden]);
    var note = disks && disks.note;
    if (now === drawn) { return; }
    drawn = now;
    BBT.empty(el);
    if (quiet || !disks) { return; }
    disks.disks.forEach(function (disk) { el.appendChild(card(disk, disks.on_board)); });
    if (note && !disks.disks.length && said(note) !== hidden) {
      el.appendChild(h('div', { 'class': 'banner disk disk-bad' }, [
        BBT.icon('warn'),
        h('span', { 'class': 'banner-text', text: said(note) }),
        BBT.button({ text: t('app.close'), onclick: function () { hidden = said(note); update(); } })
      ]));
    }
  }

  BBT.disks = {
    el: el, update: update, start: refresh,
    /* The disks that are there, or null before the first answer. */
    list: function () { return disks ? disks.disks : null; },
    /* One listener at a time is told of every answer. */
    onChange: function (listener) { told = listener; }
  };
}());
