/* Routes and the frame around every view: status line, notices, view, dock. Loaded last. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var view = null;
  var trail = [];
  var replacing = false;
  var frame = {};
  /* What is shown, and for which lock. */
  var shown = null;

  function route(hash) {
    var path = hash.replace(/^#\/?/, '');
    var mark = path.indexOf('?');
    var parts = (mark < 0 ? path : path.slice(0, mark)).split('/').map(decode);
    var where = { name: parts[0] || 'home', parts: parts.slice(1), query: {} };
    if (mark >= 0) {
      path.slice(mark + 1).split('&').forEach(function (pair) {
        var at = pair.indexOf('=');
        if (at > 0) { where.query[decode(pair.slice(0, at))] = decode(pair.slice(at + 1)); }
      });
    }
    if (where.name === 'lesson' && parts[1]) {
      where.id = parts[1];
      if (parts[2] !== undefined && /^\d+$/.test(parts[2])) {
        where.name = 'item';
        where.index = Number(parts[2]);
      }
    } else if (where.name === 'lesson' || !BBT.views[where.name]) {
      where.name = 'home';
    }
    return where;
  }

  function decode(text) {
    try { return decodeURIComponent(text); } catch (e) { return ''; }
  }

  /* Go to a hash; `replace` leaves no step for Back. */
  BBT.go = function (hash, replace) {
    if (replace) {
      replacing = true;
      window.location.replace(hash);
      if (window.location.hash === hash && trail[trail.length - 1] === hash) { replacing = false; }
    } else {
      window.location.hash = hash;
    }
  };

  /* The address of what is shown already: no step for Back, and nothing is drawn anew. */
  BBT.quietly = function (hash) {
    trail[trail.length ? trail.length - 1 : 0] = hash;
    window.history.replaceState(null, '', hash);
  };

  /* One step up: by history where the parent is what Back would show, else in place. */
  BBT.back = function (parent) {
    var before = trail[trail.length - 2];
    if (before !== undefined && before.split('?')[0] === parent.split('?')[0]) {
      window.history.back();
    } else {
      BBT.go(parent, true);
    }
  };

  /* One step up from a page that several pages lead to: to where the teacher came from, or else to `parent`. */
  BBT.leave = function (parent) {
    var before = trail[trail.length - 2];
    if (before !== undefined && !/^#\/lesson\/[^/]+\/\d/.test(before)) {
      window.history.back();
    } else {
      BBT.go(parent, true);
    }
  };

  function remember(hash) {
    if (replacing) {
      trail[trail.length ? trail.length - 1 : 0] = hash;
    } else if (trail[trail.length - 2] === hash) {
      trail.pop();
    } else {
      trail.push(hash);
    }
    replacing = false;
    trail = trail.slice(-50);
  }

  /* A viewer that fails while it ends must not keep the teacher from leaving it. */
  function leave() {
    var old = view;
    view = null;
    if (!old || !old.destroy) { return; }
    try { old.destroy(); } catch (error) {
      if (window.console) { window.console.error(error); }
    }
  }

  /* How the device stands decides more than the address: a locked one shows nothing else, in an exam it is silent, one that
     is nobody asks to be let in. */
  function standing(where) {
    var home = BBT.data.home;
    var state = BBT.membership().state;
    var exam = home && home.exam ? home.exam.state : 'none';
    if (state === 'locked') { return 'locked'; }
    if (exam === 'silent' || exam === 'listening') { return 'exam'; }
    if (home && home.lock && !/^(help|fault|diag|privacy|settings)$/.test(where.name)) { return 'maintenance'; }
    if (state === 'unenrolled' && !(home.counts && home.counts.total) && !/^(help|fault|diag|privacy|settings)$/.test(where.name)) { return 'unenrolled'; }
    if (where.name === 'maintenance') { return 'home'; }
    if (where.name === 'enrol' && state !== 'quarantined' && state !== 'revoked') { return 'home'; }
    return where.name;
  }

  function show() {
    var where = route(window.location.hash);
    leave();
    shown = standing(where);
    if (shown === 'locked' || shown === 'exam' || shown === 'maintenance') {
      /* Whatever lies over the page goes, too. */
      BBT.closeInfo();
      BBT.light();
      if (BBT.tools && BBT.tools.close) { BBT.tools.close(); }
    }
    view = shown === 'locked' ? BBT.lockedView()
      : shown === 'unenrolled' || shown === 'enrol' ? BBT.enrolView(shown === 'enrol')
      : BBT.views[shown](where);
    document.body.className = 'on-' + shown + (view.immersive ? ' immersive' : '') + (shown === 'locked' || shown === 'exam' ? ' is-locked' : '');
    BBT.banner.update(shown);
    BBT.notices.update();
    BBT.disks.update();
    BBT.empty(frame.view).appendChild(view.el);
    BBT.empty(frame.dock);
    view.dock.forEach(function (part) { frame.dock.appendChild(part); });
    if (view.mounted) { view.mounted(); }
  }

  function drawStatus() {
    var home = BBT.data.home;
    var seen = BBT.data.consoleSeen();
    var online = BBT.data.reachable && home && home.online;
    var coming = BBT.arriving(), wall = BBT.wall();
    var words;
    if (!BBT.data.reachable) {
      words = t('status.restarting');
    } else if (!home) {
      words = t('shelf.loading');
    } else if (BBT.membership().state === 'provisional') {
      words = t('status.provisional');
    } else if (!home.device && !home.preparing) {
      words = t('status.not_enrolled');
    } else if (seen === null) {
      words = t('status.never');
    } else if (!online) {
      words = t('status.offline_hint', { ago: BBT.ago(seen) });
    } else if (coming) {
      words = coming.words;
    } else if (seen < 180 && home.counts && home.counts.failed) {
      words = t('status.unready', { n: home.counts.failed });
    } else {
      words = seen < 180 ? t('status.fresh') : t('status.seen', { ago: BBT.ago(seen) });
    }
    frame.name.textContent = BBT.data.deviceName() || t('app.title');
    frame.link.textContent = t(online ? 'status.online' : 'status.offline');
    frame.words.textContent = words;
    frame.clock.textContent = wall ? BBT.dayTime(wall.minutes) : '';
    BBT.toggle(frame.status, 'is-online', online);
    BBT.toggle(frame.status, 'is-unreachable', !BBT.data.reachable);
  }

  function build() {
    frame.name = h('span', { 'class': 'status-name' });
    frame.link = h('span', { 'class': 'status-link' });
    frame.words = h('span', { 'class': 'status-words' });
    frame.clock = h('span', { 'class': 'status-clock' });
    frame.status = h('button', {
      type: 'button', 'class': 'status', 'aria-label': t('app.info'), onclick: function () { BBT.showInfo(); }
    }, [frame.name, h('span', { 'class': 'status-right' }, [frame.words, frame.link, frame.clock])]);
    frame.view = h('div', { 'class': 'view-frame' });
    frame.dock = h('div', { 'class': 'dock' });
    [frame.status, BBT.banner.el, BBT.disks.el, BBT.notices.strip, frame.view, frame.dock].forEach(function (part) {
      document.body.appendChild(part);
    });
  }

  BBT.view('item', function (where) { return BBT.itemView(where.id, where.index); });
  BBT.view('lesson', function (where) { return BBT.lessonView(where.id); });
  BBT.view('enrol', function () { return BBT.enrolView(true); });

  /* Everything again in the other language; what plays is opened anew, which its resume position makes harmless. */
  BBT.changeLanguage = function () {
    BBT.switchLanguage();
    relabel();
  };

  function relabel() {
    document.documentElement.setAttribute('lang', BBT.language);
    document.title = t('app.title');
    frame.status.setAttribute('aria-label', t('app.info'));
    drawStatus();
    BBT.notices.update();
    show();
  }

  document.documentElement.setAttribute('lang', BBT.language);
  document.title = t('app.title');
  build();
  BBT.data.onChange(function () {
    /* The board's own language holds until somebody at the page chose one. */
    if (BBT.data.home && BBT.data.home.language && BBT.adoptLanguage(BBT.data.home.language)) { relabel(); }
    drawStatus();
    BBT.notices.update();
    BBT.banner.update(shown);
    if (standing(route(window.location.hash)) !== shown) { show(); } else if (view.update) { view.update(); }
  });
  window.setInterval(drawStatus, 15000);
  window.addEventListener('hashchange', function () {
    remember(window.location.hash);
    show();
  });
  document.addEventListener('keydown', function (event) {
    if (BBT.notices.key(event)) { return; }
    if (event.altKey || event.ctrlKey || event.metaKey) { return; }
    if ((view.key && view.key(event)) || (!/on-item/.test(document.body.className) && BBT.arrows(event))) { event.preventDefault(); }
  });
  document.addEventListener('keydown', function () { document.documentElement.classList.add('by-keys'); }, true);
  document.addEventListener('pointerdown', function () { document.documentElement.classList.remove('by-keys'); }, true);
  /* A long press on a board is not a right click. */
  document.addEventListener('contextmenu', function (event) { event.preventDefault(); });
  remember(window.location.hash);
  drawStatus();
  show();
  BBT.data.start();
  BBT.disks.start();
}());
