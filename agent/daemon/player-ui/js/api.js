/* Questions to the agent: JSON in, JSON out, and the page's token with everything that changes something.
   The token comes with `api/home` and holds as long as the agent runs. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var GET_MS = 10000, POST_MS = 70000;

  function send(method, path, body, token, done) {
    var call = new XMLHttpRequest();
    function answered() {
      var parsed = null;
      try { parsed = JSON.parse(call.responseText); } catch (e) { /* no body, or none of ours */ }
      done(call.status >= 200 && call.status < 300, parsed, call.status);
    }
    call.open(method, path);
    call.timeout = method === 'GET' ? GET_MS : POST_MS;
    call.setRequestHeader('Accept-Language', BBT.language);
    if (method === 'POST') {
      call.setRequestHeader('Content-Type', 'application/json');
      call.setRequestHeader('X-BBT-Page', '1');
      if (token) { call.setRequestHeader('X-BBT-Token', token); }
    }
    call.onload = answered;
    call.onerror = call.ontimeout = function () { done(false, null, 0); };
    call.send(method === 'POST' ? JSON.stringify(body || {}) : null);
    return call;
  }

  /* The token, asked for where the page has none yet, or where `old` was refused: an agent that restarted has another. */
  function withToken(old, then) {
    var held = BBT.data && BBT.data.home ? BBT.data.home.token : null;
    if (held && held !== old) { then(held); return; }
    send('GET', 'api/home', null, null, function (ok, home) { then(ok && home ? home.token : held); });
  }

  BBT.api = {
    /* done(ok, body, status): `body` is null where there was none, `status` 0 where nobody answered. Gives the call, which
       can be aborted; then `done` is not called. */
    get: function (path, done) { return send('GET', path, null, null, done || function () {}); },

    /* As `get`, for what changes something. */
    post: function (path, body, done) {
      var tell = done || function () {};
      withToken(null, function (token) {
        send('POST', path, body, token, function (ok, answer, status) {
          if (status !== 403) { tell(ok, answer, status); return; }
          withToken(token, function (fresh) {
            if (!fresh || fresh === token) { tell(ok, answer, status); return; }
            send('POST', path, body, fresh, tell);
          });
        });
      });
    },

    /* What to tell a person: the agent's own words, or that it did not answer. */
    words: function (body) { return (body && (body.message || body.detail)) || BBT.t('api.no_answer'); },

    token: function () { return BBT.data && BBT.data.home ? BBT.data.home.token || '' : ''; }
  };

  /* What is done with an item: event is opened, playing, paused or finished; times in seconds. `lesson` is the lesson, or
     null for a file of a teacher's own disk. While something plays, say `playing` again at least every 15 s: only time
     between two such words counts. No name of anybody is ever part of it. */
  BBT.use = function (lesson, item, event, position, duration) {
    var body = { event: event, position_ms: Math.round((position || 0) * 1000), duration_ms: Math.round((duration || 0) * 1000) };
    if (lesson) {
      body.lesson = lesson.id;
      body.version = lesson.version;
      body.item = item;
    } else {
      body.usb = true;
    }
    if (BBT.data.home && !BBT.data.home.on_board) { return; }
    BBT.api.post('api/use', body, function () {
      /* The first page shows it at once, whether or not the agent's word of it came through. */
      if (event !== 'playing') { BBT.data.refresh(); }
    });
  };

  /* What could not be shown, for the technician: a code of letters, digits and `_ - . :`, and the lesson or null. Never a
     sentence, an address or what somebody typed. The board counts; a page in a loop may say so often in ten minutes. */
  var TROUBLES = 12, TROUBLES_MS = 600000, EACH_MS = 3000;
  var told = [], toldLast = {};
  BBT.trouble = function (code, lesson) {
    var now = Date.now(), body, key;
    code = String(code).replace(/[^A-Za-z0-9_.:-]+/g, '_').slice(0, 80);
    key = code + ' ' + (lesson ? lesson.id : '');
    told = told.filter(function (at) { return now - at < TROUBLES_MS; });
    if (!code || told.length >= TROUBLES || now - (toldLast[key] || 0) < EACH_MS) { return; }
    if (BBT.data && BBT.data.home && !BBT.data.home.on_board) { return; }
    told.push(now);
    toldLast[key] = now;
    body = { code: code };
    if (lesson) { body.lesson = lesson.id; }
    BBT.api.post('api/trouble', body);
  };

  /* 2 NETWORK, 3 DECODE, 4 SRC_NOT_SUPPORTED; 1 is a person who went on. */
  BBT.mediaTrouble = function (media, lesson) {
    var code = media.error ? media.error.code : 0;
    if (code !== 1) { BBT.trouble('MEDIA_ERR_' + (['0', '1', 'NETWORK', 'DECODE', 'SRC_NOT_SUPPORTED'][code] || code), lesson); }
  };

  /* Mistakes of the page's own scripts: the file's name and the line, not what was said. */
  window.addEventListener('error', function (event) {
    var file;
    if (!event.filename) { return; }
    file = event.filename.split(/[?#]/)[0].split('/').pop();
    BBT.trouble('SCRIPT:' + file + ':' + (event.lineno || 0), null);
  });
  window.addEventListener('unhandledrejection', function (event) {
    BBT.trouble('PROMISE:' + ((event.reason && event.reason.name) || 'Error'), null);
  });
}());
