/* One item on the whole screen: its title, its viewer, and a dock with back, the viewer's tools, previous, next.
   A viewer is made once and stays until the teacher leaves, whatever happens to the shelf meanwhile. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* While something plays this is said so often; only time between two such words counts as use. */
  var TELL_MS = 10000;
  /* A document that nobody touches for so long is not in use, it was left open. */
  var IDLE_MS = 600000;
  /* Keys of a keyboard, a remote control and a clicker. */
  var STEPS = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };

  /* By kind: function (context) → {el, tools, seek?, immersive?, mounted?, key?, leaving?(go), trapped?, destroy?}; context is
     {lesson, item, items, index, position, fail(text, code), hasNext, next(), go(index), told(event, position, duration)}. */
  BBT.viewers = {};

  /* What is done with an item is counted: opened, playing, paused, finished. Documents play while somebody works at them. */
  function ledger(lesson, index, isMedia) {
    var last = 0, touched = Date.now(), state = '', timer;
    function say(event, position, duration) {
      last = Date.now();
      state = event;
      BBT.use(lesson, index, event, position, duration);
    }
    function touch() { touched = Date.now(); }
    function watch() {
      if (Date.now() - touched < IDLE_MS && !document.hidden) { say('playing', 0, 0); } else if (state === 'playing') { say('paused', 0, 0); }
    }
    say('opened', 0, 0);
    if (!isMedia) {
      say('playing', 0, 0);
      timer = window.setInterval(watch, TELL_MS);
      ['pointerdown', 'keydown', 'wheel'].forEach(function (name) { document.addEventListener(name, touch, true); });
    }
    return {
      told: function (event, position, duration) {
        if (event === 'playing' && state === 'playing' && Date.now() - last < TELL_MS) { return; }
        if (event === 'paused' && state !== 'playing') { return; }
        say(event, position, duration);
      },
      end: function () {
        window.clearInterval(timer);
        ['pointerdown', 'keydown', 'wheel'].forEach(function (name) { document.removeEventListener(name, touch, true); });
        if (!isMedia && state === 'playing') { say('paused', 0, 0); }
      }
    };
  }

  /* Where the class stopped, in seconds, as the board remembers it; null where it does not. */
  function remembered(lesson, item, index) {
    var list = (BBT.data.home && BBT.data.home.resume) || [], i;
    if (typeof item.position_ms === 'number') { return item.position_ms / 1000; }
    for (i = 0; i < list.length; i += 1) {
      if (lesson && list[i].lesson && list[i].lesson.id === lesson.id && list[i].item === index) { return list[i].position_ms / 1000; }
    }
    return null;
  }

  /* Arrow keys of a remote control go from control to control of `row`. */
  function walk(row, event) {
    var all = [].filter.call(row.querySelectorAll('button, a, input, [tabindex="0"]'), function (one) {
      return !one.disabled && one.offsetParent !== null && !one.classList.contains('slider');
    });
    var at = all.indexOf(document.activeElement);
    var by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (at < 0 || !by) { return false; }
    all[(at + by + all.length) % all.length].focus();
    return true;
  }
  BBT.walk = walk;

  /* options: {source() → {items, title, lesson|null, key} or null, index (or a function that tells it), waiting() → element,
     parent, hash(index)}. */
  BBT.stage = function (options) {
    var index = 0;
    var el = h('div', { 'class': 'view view-item' });
    var tools = h('div', { 'class': 'dock-middle' });
    var steps = h('div', { 'class': 'dock-end' });
    var back = BBT.button({ icon: 'back', text: t(options.backText || 'item.back'), 'class': 'button-back', onclick: leaveBy(up) });
    var stage = { el: el, dock: [back, tools, steps], immersive: false };
    var viewer = null, book = null, desk = null;
    /* Whether the dock was entered with keys: after a touch, arrows belong to what is shown. */
    var walking = false;

    /* What a viewer would lose is asked about before it is left. */
    function leaveBy(go) {
      return function () {
        if (viewer && viewer.leaving && viewer.leaving(go)) { return; }
        go();
      };
    }

    function up() {
      /* An exercise may have filled the history with steps of its own; then Back would not leave it. */
      if (viewer && viewer.trapped) { BBT.go(options.parent, true); } else { BBT.back(options.parent); }
    }

    function go(to) { BBT.go(options.hash(to), true); }

    function step(items, to, icon, key) {
      var there = items[to];
      var button = BBT.button({ icon: icon, text: t(key), 'class': 'button-step button-' + icon, onclick: leaveBy(function () { go(to); }) });
      button.disabled = !there;
      if (there) { button.setAttribute('title', there.title); }
      return button;
    }

    function unmount() {
      if (desk) { desk.close(); desk = null; }
      if (viewer && viewer.destroy) { viewer.destroy(); }
      if (book) { book.end(); }
      viewer = book = null;
      BBT.empty(tools);
      BBT.empty(steps);
      BBT.empty(el);
      [].forEach.call(document.querySelectorAll('.dock > .seek'), function (old) { old.parentNode.removeChild(old); });
    }

    function fail(text, code) {
      var area = el.querySelector('.stage'), shown = options.source();
      if (!area) { return; }
      if (code) { BBT.trouble(code, shown && shown.lesson); }
      area.appendChild(h('div', { 'class': 'stage-fail' }, [BBT.message({
        icon: 'warn', 'class': 'message-failed', title: t('item.failed_title'), text: text || t('item.failed_text'),
        button: BBT.button({
          icon: 'again', text: t('item.retry'), 'class': 'button-primary',
          onclick: function () { unmount(); build(); }
        })
      })]));
    }

    function build() {
      var shown = options.source();
      var item, kind;
      index = typeof options.index === 'function' ? options.index() : options.index;
      if (!shown || !shown.items[index]) {
        el.appendChild(options.waiting());
        return;
      }
      item = shown.items[index];
      kind = BBT.viewers[item.kind] ? item.kind : 'other';
      book = ledger(shown.lesson, index, kind === 'video' || kind === 'audio');
      viewer = BBT.viewers[kind]({
        lesson: shown.lesson, item: item, items: shown.items, index: index, key: shown.key + '.' + index, fail: fail,
        position: remembered(shown.lesson, item, index), told: book.told,
        hasNext: !!shown.items[index + 1], next: function () { go(index + 1); }, go: go
      });
      el.appendChild(h('div', { 'class': 'item-strip' }, [
        h('span', { 'class': 'item-strip-title', text: BBT.itemTitle(item, index) }),
        h('span', { 'class': 'item-strip-lesson', text: shown.title }),
        h('span', { 'class': 'item-strip-count', text: t('item.position', { n: index + 1, total: shown.items.length }) })
      ]));
      el.appendChild(h('div', { 'class': 'stage stage-' + kind }, [viewer.el]));
      if (viewer.seek && back.parentNode) { back.parentNode.insertBefore(viewer.seek, back.parentNode.firstChild); }
      if (viewer.seek && !back.parentNode) { stage.dock.unshift(viewer.seek); }
      (viewer.tools || []).forEach(function (tool) { tools.appendChild(tool); });
      tools.className = 'dock-middle dock-' + (viewer.kind || kind);
      desk = BBT.toolsButton();
      tools.appendChild(desk.el);
      tools.appendChild(BBT.button({ icon: 'fullscreen', label: t('media.fullscreen'), 'class': 'button-full', onclick: BBT.toggleFullscreen }));
      steps.appendChild(step(shown.items, index - 1, 'previous', 'item.previous'));
      steps.appendChild(step(shown.items, index + 1, 'next', 'item.next'));
      BBT.toggle(document.body, 'immersive', viewer.immersive);
      stage.immersive = viewer.immersive;
      if (el.parentNode && viewer.mounted) { viewer.mounted(); }
    }

    function key(event) {
      var dock = document.querySelector('.dock'), inDock = walking && dock && dock.contains(document.activeElement);
      switch (event.key) {
        case 'ArrowDown':
          if (inDock) { return true; }
          walking = true;
          (dock.querySelector('.button-play') || dock.querySelector('.dock-middle button') || back).focus();
          return true;
        case 'ArrowUp':
          if (inDock) {
            walking = false;
            document.activeElement.blur();
            return true;
          }
          break;
        case 'ArrowLeft': case 'ArrowRight':
          if (inDock && walk(dock, event)) { return true; }
          break;
        case 'Tab': walking = true; return false;
        /* What clickers send for "look here". */
        case '.': BBT.blackout(); return true;
        case 'f': BBT.toggleFullscreen(); return true;
        case 'Escape': case 'GoBack': case 'BrowserBack': leaveBy(up)(); return true;
        case 'MediaTrackNext': if (viewer) { steps.lastChild.click(); } return true;
        case 'MediaTrackPrevious': if (viewer) { steps.firstChild.click(); } return true;
        default: break;
      }
      return (viewer && viewer.key && viewer.key(event)) || turn(event);
    }

    /* What the viewer has no use for leads to the items beside it: a picture has no more pages, a film is at its end. A key
       that is held down stays in what is shown. */
    function turn(event) {
      var by = STEPS[event.key];
      if (!by || !viewer) { return false; }
      if (!event.repeat) { (by > 0 ? steps.lastChild : steps.firstChild).click(); }
      return true;
    }

    stage.mounted = function () {
      /* Whatever its address, it looks like an item. */
      document.body.classList.add('on-item');
      if (viewer && viewer.mounted) { viewer.mounted(); }
    };
    stage.update = function () {
      if (!viewer) { BBT.empty(el); build(); }
    };
    stage.key = key;
    function touched() { walking = false; }
    document.addEventListener('pointerdown', touched, true);
    stage.destroy = function () {
      document.removeEventListener('pointerdown', touched, true);
      unmount();
    };
    build();
    return stage;
  };

  BBT.itemView = function (id, index) {
    return BBT.stage({
      index: index, parent: '#/lesson/' + encodeURIComponent(id),
      hash: function (to) { return BBT.itemHash(id, to); },
      source: function () {
        var lesson = BBT.data.lesson(id);
        if (!lesson || lesson.state !== 'ready' || !lesson.items) { return null; }
        return { items: lesson.items, title: BBT.titleOf(lesson), lesson: lesson, key: lesson.id + '.' + lesson.version };
      },
      waiting: function () {
        return BBT.data.gone(id) || BBT.data.lesson(id)
          ? BBT.message({ icon: 'search', title: t('lesson.gone_title'), text: t('lesson.gone_text') })
          : BBT.message({ icon: 'book', title: t('shelf.loading') });
      }
    });
  };

  function fullscreenElement() { return document.fullscreenElement || document.webkitFullscreenElement; }

  BBT.isFullscreen = function () { return !!fullscreenElement(); };
  BBT.toggleFullscreen = function () {
    var root = document.documentElement;
    if (fullscreenElement()) {
      (document.exitFullscreen || document.webkitExitFullscreen).call(document);
    } else {
      (root.requestFullscreen || root.webkitRequestFullscreen).call(root);
    }
  };
}());
