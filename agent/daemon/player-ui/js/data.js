/* What the agent says of the board, kept fresh: SSE first, polling where SSE does not come through.
   Owns the only copy of `api/home` and of the lessons that were opened; views ask `BBT.data` and are told of changes.
   The whole shelf, 20,000 lessons perhaps, never comes here: views ask for the part they show. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var POLL_MS = 5000;
  /* With SSE open this only keeps the sync age right and heals a missed event. */
  var SAFETY_MS = 30000;
  var COALESCE_MS = 400;
  var TIMEOUT_MS = 10000;

  var listeners = [];
  var text = null;
  var asking = false;
  var askAgain = false;
  var timer = null;
  var soon = null;
  var live = false;
  /* The agent said that something changed, which `api/home` need not show. */
  var told = false;

  /* Lessons asked for one by one: {text, lesson, gone, asking, stale}, the one used last at the end of `used`. */
  var KEPT = 12;
  var details = {}, used = [];
  /* What lists have told of lessons, so that a page has its heading before the lesson is there. */
  var briefs = {}, briefCount = 0;

  BBT.data = {
    /* The answer of `api/home`, or null before the first one. `shelf` is its older name. */
    home: null,
    shelf: null,
    /* Counts up with every word of the agent that something changed: who shows a list asks it again. */
    round: 0,
    /* Whether the agent answered the last question. */
    reachable: true,
    /* Date.now() of the last answer: `console_seen_s` grows from there. */
    answeredAt: 0
  };

  function tell(changed) {
    listeners.forEach(function (listener) { listener(changed); });
  }

  function schedule() {
    window.clearTimeout(timer);
    timer = window.setTimeout(BBT.data.refresh, live && BBT.data.reachable ? SAFETY_MS : POLL_MS);
  }

  function answered(ok, body) {
    var parsed, changed;
    asking = false;
    if (ok) {
      try { parsed = JSON.parse(body); } catch (e) { parsed = null; }
    }
    if (parsed && parsed.membership) {
      changed = body !== text || !BBT.data.reachable || told;
      told = false;
      text = body;
      if (changed) {
        BBT.data.round += 1;
        used.forEach(function (id) { details[id].stale = true; });
      }
      BBT.data.home = BBT.data.shelf = parsed;
      BBT.data.reachable = true;
      BBT.data.answeredAt = Date.now();
      if (changed) { tell(true); }
    } else if (BBT.data.reachable) {
      BBT.data.reachable = false;
      tell(true);
    }
    if (askAgain) {
      askAgain = false;
      BBT.data.refresh();
    } else {
      schedule();
    }
  }

  BBT.data.refresh = function () {
    var request;
    if (asking) { askAgain = true; return; }
    asking = true;
    request = new XMLHttpRequest();
    request.open('GET', 'api/home');
    request.timeout = TIMEOUT_MS;
    request.onload = function () { answered(request.status === 200, request.responseText); };
    request.onerror = request.ontimeout = function () { answered(false); };
    request.send();
  };

  function refreshSoon() {
    told = true;
    if (soon) { return; }
    soon = window.setTimeout(function () { soon = null; BBT.data.refresh(); }, COALESCE_MS);
  }

  function listen() {
    var source;
    if (!window.EventSource) { return; }
    source = new window.EventSource('api/live');
    source.onopen = function () { live = true; refreshSoon(); };
    source.onerror = function () {
      /* Only the loss starts the clock anew: each failed attempt after it would put the next question off again. */
      if (live) {
        live = false;
        schedule();
      }
      /* CLOSED means the browser gave up (for instance on a 503); it does not come back by itself. */
      if (source.readyState === 2) { window.setTimeout(listen, POLL_MS); }
    };
    /* Whatever the event says, home is asked again: one shape to keep right. */
    ['message', 'shelf', 'change', 'notice'].forEach(function (name) {
      source.addEventListener(name, refreshSoon);
    });
  }

  BBT.data.onChange = function (listener) { listeners.push(listener); };

  BBT.data.start = function () {
    BBT.data.refresh();
    listen();
  };

  function askLesson(id) {
    var entry = details[id];
    if (entry.asking) { return; }
    entry.asking = true;
    entry.stale = false;
    BBT.api.get('api/lessons/' + encodeURIComponent(id), function (ok, lesson, status) {
      var text = JSON.stringify(lesson), before = entry.text;
      entry.asking = false;
      if (ok && lesson && lesson.id) {
        entry.lesson = lesson;
        entry.gone = false;
      } else if (status === 404 || status === 410) {
        entry.lesson = null;
        entry.gone = true;
        text = 'gone';
      } else {
        /* Not answered: with the next word from the agent it is asked again. */
        entry.stale = true;
        return;
      }
      entry.text = text;
      if (text !== before) { tell(true); }
    });
  }

  /* The lesson with its items, or null while it is asked for and where there is none: see `gone`. */
  BBT.data.lesson = function (id) {
    if (!details[id]) { details[id] = { text: '', lesson: null, gone: false, asking: false, stale: true }; }
    if (used[used.length - 1] !== id) {
      used = used.filter(function (other) { return other !== id; });
      used.push(id);
      if (used.length > KEPT) { delete details[used.shift()]; }
    }
    if (details[id].stale) { askLesson(id); }
    return details[id].lesson;
  };

  /* Whether the agent said that it has no such lesson. */
  BBT.data.gone = function (id) { return !!details[id] && details[id].gone; };

  /* What a list told of lessons. */
  BBT.data.keepBriefs = function (lessons) {
    if (briefCount > 2000) { briefs = {}; briefCount = 0; }
    lessons.forEach(function (lesson) {
      if (lesson) { briefs[lesson.id] = lesson; briefCount += 1; }
    });
  };
  BBT.data.brief = function (id) { return briefs[id] || null; };

  /* 学科, 年级 and so on of a lesson, which stand in it or in its `meta`. */
  BBT.data.meta = function (lesson) { return (lesson && (lesson.meta || lesson)) || {}; };

  /* Seconds since the console was last heard, or null when never. */
  BBT.data.consoleSeen = function () {
    var seen = BBT.data.shelf ? BBT.data.shelf.console_seen_s : null;
    if (seen === null || seen === undefined) { return null; }
    return seen + Math.max(0, Math.round((Date.now() - BBT.data.answeredAt) / 1000));
  };

  /* Names of the classroom, or the device's id where it has none yet. */
  BBT.data.deviceName = function () {
    var device = BBT.data.shelf ? BBT.data.shelf.device : null, place;
    if (!device) {
      /* On a USB disk's word it has a place, and no name yet. */
      place = BBT.membership().place || {};
      return [place.school, place.classroom].filter(Boolean).join(' ');
    }
    place = device.placement;
    if (typeof place === 'string') { return place || device.id; }
    if (place && (place.school || place.classroom)) {
      return [place.school, place.classroom].filter(Boolean).join(' ');
    }
    return device.id || '';
  };

  BBT.data.percent = function (lesson) {
    if (!lesson.total_bytes) { return 0; }
    /* 100 is said only by `ready`. */
    return Math.min(99, Math.floor(lesson.done_bytes * 100 / lesson.total_bytes));
  };

  /* The reason of a failed lesson as a key of the catalogue. */
  BBT.data.reasonKey = function (lesson) {
    var key = 'failed.' + lesson.reason;
    return lesson.reason && BBT.hasText(key) ? key : 'failed.other';
  };
}());
