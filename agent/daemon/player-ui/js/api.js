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
}());
