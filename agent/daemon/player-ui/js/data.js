/* The shelf as the agent knows it, kept fresh: SSE first, polling where SSE does not come through.
   Owns the only copy of the data; views ask `BBT.data` and are told of changes. */
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

  BBT.data = {
    shelf: null,
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
    if (parsed && parsed.lessons) {
      changed = body !== text || !BBT.data.reachable;
      text = body;
      BBT.data.shelf = parsed;
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
    request.open('GET', 'api/shelf');
    request.timeout = TIMEOUT_MS;
    request.onload = function () { answered(request.status === 200, request.responseText); };
    request.onerror = request.ontimeout = function () { answered(false); };
    request.send();
  };

  function refreshSoon() {
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
    /* Whatever the event says, the shelf is asked again: one shape to keep right. */
    ['message', 'shelf', 'change', 'notice'].forEach(function (name) {
      source.addEventListener(name, refreshSoon);
    });
  }

  BBT.data.onChange = function (listener) { listeners.push(listener); };

  BBT.data.start = function () {
    BBT.data.refresh();
    listen();
  };

  BBT.data.lesson = function (id) {
    var lessons = BBT.data.shelf ? BBT.data.shelf.lessons : [], i;
    for (i = 0; i < lessons.length; i += 1) {
      if (lessons[i].id === id) { return lessons[i]; }
    }
    return null;
  };

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
