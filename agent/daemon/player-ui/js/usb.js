/* A teacher's own files on a disk, played from where they lie. Nothing is copied, and nothing of it is remembered.
   `#/usb/DISK/folder/folder?play=file`: names as the agent wrote them, percent-encoded, whatever their encoding. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var PLAYED = ['video', 'audio', 'image', 'pdf'];
  var AT_ONCE = 60;
  /* The list that was shown last: going back from a film does not ask the disk again. */
  var last = { key: '', list: null };

  function hashOf(disk, dir, play) {
    return '#/usb/' + encodeURIComponent(disk) + (dir ? '/' + dir.split('/').map(encodeURIComponent).join('/') : '') +
      (play ? '?play=' + encodeURIComponent(play) : '');
  }
  BBT.usbHash = hashOf;

  function readable(part) {
    try { return decodeURIComponent(part); } catch (e) { return part; }
  }

  function tail(url) { return url.slice(url.lastIndexOf('/') + 1); }

  function sorted(entries) {
    var order = window.Intl && window.Intl.Collator ? new window.Intl.Collator('zh-CN', { numeric: true }).compare : function (a, b) { return a < b ? -1 : a > b ? 1 : 0; };
    function rank(entry) { return entry.kind === 'dir' ? 0 : entry.url ? 1 : 2; }
    return entries.slice().sort(function (a, b) { return rank(a) - rank(b) || order(a.name, b.name); });
  }

  /* done(list) with what is in the folder, or done(null, words). */
  function ask(disk, dir, fresh, done) {
    var key = disk + '\n' + dir;
    if (!fresh && last.key === key && last.list) { done(last.list); return null; }
    return BBT.api.get('api/disks/' + encodeURIComponent(disk) + '/files?dir=' + dir, function (ok, body) {
      if (!ok || !body || !body.entries) {
        last = { key: '', list: null };
        done(null, BBT.api.words(body));
        return;
      }
      last = { key: key, list: { entries: sorted(body.entries), more: body.more } };
      done(last.list);
    });
  }

  function nameOf(disk) {
    var known = (BBT.disks.list() || []).filter(function (one) { return one.id === disk; })[0];
    return known ? known.name : t('usb.disk');
  }

  function listView(disk, dir) {
    var rows = h('div', { 'class': 'usb-rows' });
    var body = h('main', { 'class': 'usb-main' }, [rows]);
    var path = h('nav', { 'class': 'usb-path', 'aria-label': t('usb.path') });
    var el = h('div', { 'class': 'view view-usb' }, [path, body]);
    var parent = dir ? hashOf(disk, dir.split('/').slice(0, -1).join('/')) : '#/';
    var list = null, shown = 0, call = null, over = false;

    function row(entry) {
      var open = entry.kind === 'dir' ? hashOf(disk, entry.dir || (dir ? dir + '/' : '') + encodeURIComponent(entry.name)) : entry.url ? hashOf(disk, dir, tail(entry.url)) : null;
      var icon = entry.kind === 'dir' ? 'folder' : entry.url ? entry.kind : 'other';
      var parts = [
        h('span', { 'class': 'usb-icon item-icon-' + icon }, [BBT.icon(icon)]),
        h('span', { 'class': 'usb-name', text: entry.name }),
        h('span', { 'class': 'usb-size', text: entry.kind === 'dir' ? '' : entry.url ? BBT.bytes(entry.size) : t('usb.not_played') })
      ];
      return open ? h('a', { 'class': 'usb-row', href: open, 'data-kind': entry.kind }, parts) : h('div', { 'class': 'usb-row usb-other', 'data-kind': entry.kind }, parts);
    }

    function more() {
      var end;
      if (!list) { return; }
      for (end = Math.min(list.entries.length, shown + AT_ONCE); shown < end; shown += 1) { rows.appendChild(row(list.entries[shown])); }
      if (shown === list.entries.length && list.more && !body.querySelector('.usb-more')) {
        body.appendChild(h('p', { 'class': 'usb-more', text: t('usb.more', { n: shown }) }));
      }
    }
    function scrolled() {
      while (list && shown < list.entries.length && body.scrollTop + 2 * body.clientHeight > body.scrollHeight) { more(); }
    }

    function drawPath() {
      var at = [];
      BBT.empty(path);
      path.appendChild(h('a', { 'class': 'usb-step', href: hashOf(disk, '') }, [BBT.icon('usb'), h('span', { text: nameOf(disk) })]));
      (dir ? dir.split('/') : []).forEach(function (part) {
        at.push(part);
        path.appendChild(BBT.icon('chevron'));
        path.appendChild(h('a', { 'class': 'usb-step', href: hashOf(disk, at.join('/')), text: readable(part) }));
      });
    }

    function draw(found, words) {
      if (over) { return; }
      call = null;
      BBT.empty(rows);
      shown = 0;
      list = found;
      drawPath();
      if (!found) {
        rows.appendChild(BBT.message({ icon: 'usb', 'class': 'message-failed', title: t('usb.failed'), text: words }));
      } else if (!found.entries.length) {
        rows.appendChild(BBT.message({ icon: 'folder', title: t('usb.empty'), text: t('usb.empty_text') }));
      } else {
        more();
        scrolled();
      }
    }

    drawPath();
    rows.appendChild(BBT.message({ icon: 'usb', title: t('usb.loading') }));
    body.addEventListener('scroll', scrolled);
    return {
      el: el,
      dock: [
        BBT.button({ icon: 'back', text: t(dir ? 'usb.up' : 'usb.home'), 'class': 'button-back', onclick: function () { BBT.back(parent); } }),
        h('div', { 'class': 'dock-middle' }, [h('span', { 'class': 'usb-hint', text: t('usb.hint') })]),
        h('div', { 'class': 'dock-end' }, [BBT.button({ icon: 'again', text: t('usb.refresh'), onclick: function () { call = ask(disk, dir, true, draw); } })])
      ],
      mounted: function () {
        call = ask(disk, dir, false, draw);
        /* What was shown before may be of a disk that is gone. */
        if (!call) { call = ask(disk, dir, true, draw); }
        BBT.disks.onChange(function () {
          var here = (BBT.disks.list() || []).some(function (one) { return one.id === disk; });
          if (over) { return; }
          drawPath();
          if (list && !here) { draw(null, t('usb.gone')); }
        });
      },
      key: function (event) {
        var all = [].slice.call(rows.querySelectorAll('a')), at = all.indexOf(document.activeElement);
        if (event.key === 'Escape' || event.key === 'GoBack' || event.key === 'Backspace') { BBT.back(parent); return true; }
        if ((event.key !== 'ArrowDown' && event.key !== 'ArrowUp') || !all.length) { return false; }
        at = BBT.clamp(at + (event.key === 'ArrowDown' ? 1 : -1), 0, all.length - 1);
        all[at].focus();
        return true;
      },
      destroy: function () {
        over = true;
        BBT.disks.onChange(null);
        if (call) { call.abort(); }
      }
    };
  }

  function playView(disk, dir, play) {
    var items = null, words = null, stage = null;
    function take(list, said) {
      words = said || (list ? t('usb.gone_file') : null);
      items = list ? list.entries.filter(function (entry) { return entry.url && PLAYED.indexOf(entry.kind) >= 0; }).map(function (entry) {
        return { kind: entry.kind, title: entry.name, url: entry.url, download: entry.url, subtitles: entry.subtitles || [], thumbnail: null };
      }) : null;
      if (stage) { stage.update(); }
    }
    function at() {
      var i;
      for (i = 0; items && i < items.length; i += 1) { if (tail(items[i].url) === play) { return i; } }
      return -1;
    }
    ask(disk, dir, false, take);
    stage = BBT.stage({
      index: at, parent: hashOf(disk, dir), backText: 'usb.back',
      hash: function (to) { return hashOf(disk, dir, tail(items[to].url)); },
      source: function () { return items ? { items: items, title: nameOf(disk), lesson: null, key: null } : null; },
      waiting: function () {
        return words ? BBT.message({ icon: 'usb', 'class': 'message-failed', title: t('usb.failed'), text: words }) : BBT.message({ icon: 'usb', title: t('usb.loading') });
      }
    });
    return stage;
  }

  BBT.view('usb', function (where) {
    var disk = where.parts[0] || '', dir = where.parts.slice(1).join('/');
    return where.query.play ? playView(disk, dir, where.query.play) : listView(disk, dir);
  });
}());
