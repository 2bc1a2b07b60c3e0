/* The board while it is nobody, or nobody for sure: how it gets in, the banners above lessons, the locked screen.
   Asks `api/enrol` and `api/usb/choose`, which answer only on the board's own screen. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  var LENGTH = 9;
  /* What was typed outlives a change of the page: an answer may take a minute. */
  var typed = '', busy = false, answer = null, rooms = null, since = 0, serial;

  BBT.membership = function () {
    return (BBT.data.shelf && BBT.data.shelf.membership) || { state: 'enrolled' };
  };

  /* The words that the page says in the chosen language. */
  function said(note) { return BBT.language === 'en' ? note.en : note.zh; }

  /* GF(32) with the polynomial x^5 + x^2 + 1, as contract::code. */
  function multiply(a, b) {
    var product = 0;
    while (b) {
      if (b & 1) { product ^= a; }
      a <<= 1;
      if (a & 32) { a ^= 37; }
      b >>= 1;
    }
    return product;
  }

  /* Whether the ninth character fits the eight before it. */
  BBT.codeFits = function (text) {
    var sum = 0, weight = 1, i;
    if (text.length !== LENGTH) { return false; }
    for (i = 0; i < LENGTH - 1; i += 1) {
      weight = multiply(weight, 2);
      sum ^= multiply(weight, DIGITS.indexOf(text.charAt(i)));
    }
    return DIGITS.charAt(sum) === text.charAt(LENGTH - 1);
  };

  function normal(key) {
    var upper = key.toUpperCase();
    var folded = upper === 'O' ? '0' : upper === 'I' || upper === 'L' ? '1' : upper;
    return folded.length === 1 && DIGITS.indexOf(folded) >= 0 ? folded : '';
  }

  function changed() {
    if (BBT.enrolChanged) { BBT.enrolChanged(); }
  }

  function ask(path, body) {
    var request = new XMLHttpRequest();
    busy = true;
    answer = null;
    rooms = null;
    since = Date.now();
    function done(ok, parsed) {
      busy = false;
      answer = { ok: ok, text: (parsed && parsed.message) || t('enrol.no_answer') };
      if (ok) { typed = ''; }
      if (parsed && parsed.classrooms && parsed.classrooms.length) {
        rooms = { list: parsed.classrooms, path: path };
      }
      changed();
      BBT.data.refresh();
    }
    request.open('POST', path);
    request.timeout = 170000;
    request.setRequestHeader('Content-Type', 'application/json');
    request.setRequestHeader('Accept-Language', BBT.language);
    request.setRequestHeader('X-BBT-Page', '1');
    request.setRequestHeader('X-BBT-Token', BBT.api.token());
    request.onload = function () {
      var parsed = null;
      try { parsed = JSON.parse(request.responseText); } catch (e) { /* said below */ }
      done(request.status === 200, parsed);
    };
    request.onerror = request.ontimeout = function () { done(false, null); };
    request.send(JSON.stringify(body));
    changed();
  }

  function submit() {
    if (!busy && BBT.codeFits(typed)) { ask('api/enrol', { code: typed }); }
  }

  function press(key) {
    if (busy || (typed.length >= LENGTH && !answer)) { return; }
    /* After a refusal the next key begins another code. */
    typed = answer && typed.length >= LENGTH ? key : typed + key;
    answer = null;
    rooms = null;
    changed();
  }

  function erase(all) {
    if (busy) { return; }
    typed = all ? '' : typed.slice(0, -1);
    answer = null;
    rooms = null;
    changed();
  }

  function choose(room) {
    var path = rooms ? rooms.path : 'api/usb/choose';
    if (busy) { return; }
    if (path === 'api/enrol') { ask(path, { code: typed, classroom: room.code }); } else { ask(path, { classroom: room.code }); }
  }

  function slots() {
    var line = h('div', { 'class': 'code-slots', 'aria-label': t('enrol.code') }), i;
    for (i = 0; i < LENGTH; i += 1) {
      if (i === 4 || i === 8) { line.appendChild(h('span', { 'class': 'code-dash', text: '-' })); }
      line.appendChild(h('span', {
        'class': 'code-slot' + (i === typed.length && !busy ? ' code-next' : ''), text: typed.charAt(i)
      }));
    }
    return line;
  }

  /* One line under the code: what is wrong, what is under way, how it ended. */
  function hint() {
    if (busy) {
      return h('p', { 'class': 'enrol-hint enrol-busy', role: 'status' }, [
        h('span', { 'class': 'spinner' }),
        h('span', { text: t('enrol.asking', { n: Math.round((Date.now() - since) / 1000) }) })
      ]);
    }
    if (answer) {
      return h('p', { 'class': 'enrol-hint ' + (answer.ok ? 'enrol-good' : 'enrol-bad'), role: 'alert', text: answer.text });
    }
    if (typed.length === LENGTH && !BBT.codeFits(typed)) {
      return h('p', { 'class': 'enrol-hint enrol-bad', role: 'alert', text: t('enrol.mistyped') });
    }
    return h('p', { 'class': 'enrol-hint', text: t(typed.length === LENGTH ? 'enrol.press' : 'enrol.type') });
  }

  function keypad() {
    var keys = h('div', { 'class': 'keypad' });
    DIGITS.split('').forEach(function (digit) {
      keys.appendChild(h('button', {
        type: 'button', 'class': 'key', text: digit, disabled: busy || (typed.length >= LENGTH && !answer),
        onclick: function () { press(digit); }
      }));
    });
    return keys;
  }

  function codeCard() {
    var go = BBT.button({ icon: 'check', text: t('enrol.submit'), 'class': 'button-primary button-large', onclick: submit });
    var back = BBT.button({ text: t('enrol.erase'), 'class': 'button-large', onclick: function () { erase(false); } });
    var clear = BBT.button({ text: t('enrol.clear'), 'class': 'button-large', onclick: function () { erase(true); } });
    go.disabled = busy || !BBT.codeFits(typed);
    back.disabled = clear.disabled = busy || !typed;
    return h('section', { 'class': 'enrol-card enrol-code' }, [
      h('h2', { text: t('enrol.code_title') }),
      slots(),
      hint(),
      keypad(),
      h('div', { 'class': 'enrol-buttons' }, [clear, back, go])
    ]);
  }

  function roomsCard(list, fromUsb) {
    var several = list.some(function (room) { return room.school !== list[0].school; });
    return h('section', { 'class': 'enrol-card enrol-rooms' }, [
      h('h2', { text: t('enrol.rooms_title') }),
      busy || (answer && !rooms) ? hint() : h('p', { 'class': 'enrol-hint', text: t(fromUsb ? 'enrol.rooms_usb' : 'enrol.rooms_code') }),
      h('div', { 'class': 'rooms' }, list.map(function (room) {
        return h('button', {
          type: 'button', 'class': 'room', disabled: busy, onclick: function () { choose(room); }
        }, [
          h('strong', { text: room.name || room.code }),
          h('small', { text: [several ? room.school : '', room.code].filter(Boolean).join(' ') })
        ]);
      })),
      fromUsb ? null : h('div', { 'class': 'enrol-buttons' }, [
        BBT.button({ text: t('enrol.rooms_back'), 'class': 'button-large', onclick: function () { rooms = null; answer = null; changed(); } })
      ])
    ]);
  }

  function textCard(title, lines) {
    return h('section', { 'class': 'enrol-card enrol-words' }, [h('h2', { text: title }), h('ol', {}, lines.map(function (line) {
      return h('li', { text: line });
    }))]);
  }

  /* Right side: what a hand can do here now. Without a serial number no way leads in, so no key is shown. */
  function handCard(waiting, local) {
    if (!waiting.serial) { return textCard(t('enrol.no_serial_title'), [t('enrol.no_serial_write'), t('enrol.no_serial_restart')]); }
    if (!local) { return textCard(t('enrol.elsewhere_title'), [t('enrol.elsewhere_text')]); }
    if (rooms) { return roomsCard(rooms.list, rooms.path !== 'api/enrol'); }
    if (waiting.classrooms && waiting.classrooms.length) { return roomsCard(waiting.classrooms, true); }
    if (!waiting.county) {
      return textCard(t('enrol.no_county_title'), [t('enrol.no_county_usb'), t('enrol.no_county_file'), t('enrol.no_county_ticket')]);
    }
    return codeCard();
  }

  function boardCard(waiting) {
    var picture = waiting.qr_text
      ? h('img', { 'class': 'enrol-qr', src: 'api/qr.svg?' + encodeURIComponent(waiting.fingerprint), alt: t('enrol.qr') })
      : null;
    var rows = [['enrol.fingerprint', waiting.fingerprint, 'enrol-fingerprint'], ['enrol.serial', waiting.serial || t('info.unknown'), 'enrol-serial']];
    if (waiting.county) { rows.push(['enrol.county', waiting.county, 'enrol-county']); }
    return h('section', { 'class': 'enrol-card enrol-board' }, [
      h('h2', { text: t(picture ? 'enrol.scan_title' : 'enrol.board_title') }),
      picture,
      picture ? h('p', { 'class': 'enrol-hint', text: t('enrol.scan_text') }) : null,
      h('dl', {}, rows.map(function (row) {
        return row[1] ? h('div', {}, [h('dt', { text: t(row[0]) }), h('dd', { 'class': row[2], text: row[1] })]) : null;
      }))
    ]);
  }

  function noteLine(note) {
    return note ? h('p', { 'class': 'enrol-note' + (note.problem ? ' enrol-note-bad' : ''), role: 'status' }, [
      BBT.icon(note.problem ? 'warn' : 'bell'), h('span', { text: said(note) })
    ]) : h('p', { 'class': 'enrol-note' }, [BBT.icon('usb'), h('span', { text: t('enrol.usb_hint') })]);
  }

  /* The view: {el, update(), key(event), dock, destroy()}. */
  BBT.enrolView = function (back) {
    var el = h('div', { 'class': 'view view-enrol' });
    var drawn = '', timer;

    function update() {
      var waiting = BBT.membership(), local = BBT.data.shelf && BBT.data.shelf.on_board;
      /* What was answered to the board as it was before it was started again says nothing of the board as it is now. */
      if (serial !== waiting.serial) { serial = waiting.serial; if (!busy) { answer = rooms = null; } }
      var list = el.querySelector('.rooms'), top = list ? list.scrollTop : 0;
      /* Drawn anew only if something is different: a finger may be on a key. */
      var now = JSON.stringify([waiting, local, typed, busy, answer, rooms, BBT.language, busy ? Math.round((Date.now() - since) / 1000) : 0]);
      if (now === drawn) { return; }
      drawn = now;
      BBT.empty(el);
      el.appendChild(h('div', { 'class': 'enrol-head' }, [
        back ? BBT.button({ icon: 'back', text: t('lesson.back'), onclick: function () { BBT.back('#/'); } }) : null,
        h('h1', { text: t('enrol.title') }),
        noteLine(waiting.note),
        BBT.button({ icon: 'language', text: t('app.other_language'), onclick: function () { BBT.changeLanguage(); } })
      ]));
      el.appendChild(h('div', { 'class': 'enrol-cards' }, [boardCard(waiting), handCard(waiting, local)]));
      list = el.querySelector('.rooms');
      if (list) { list.scrollTop = top; }
    }

    BBT.enrolChanged = update;
    timer = window.setInterval(function () { if (busy) { update(); } }, 1000);
    update();
    return {
      el: el, update: update,
      destroy: function () { window.clearInterval(timer); BBT.enrolChanged = null; },
      key: function (event) {
        var digit = event.key && event.key.length === 1 ? normal(event.key) : '';
        if (!BBT.data.shelf || !BBT.data.shelf.on_board || rooms || !BBT.membership().serial) { return false; }
        if (digit) { press(digit); return true; }
        if (event.key === 'Backspace') { erase(false); return true; }
        if (event.key === 'Enter' && event.target.tagName !== 'BUTTON') { submit(); return true; }
        return false;
      },
      /* Its buttons stand at the top: the keys need the room. */
      dock: []
    };
  };

  /* Reported stolen: whom to call, and nothing else. */
  BBT.lockedView = function () {
    var state = BBT.membership();
    return {
      el: h('div', { 'class': 'view view-locked' }, [
        BBT.icon('lock', 'locked-icon'),
        h('h1', { text: t('locked.title') }),
        h('p', { text: state.contact ? t('locked.contact') : t('locked.no_contact') }),
        state.contact ? h('p', { 'class': 'locked-contact', text: state.contact }) : null,
        h('small', { text: t('locked.order', { id: state.order_id || '' }) })
      ]),
      dock: [],
      key: function () { return true; }
    };
  };

  var banner = h('div', { 'class': 'banners', role: 'status' });
  BBT.banner = {
    el: banner,
    update: function (where) {
      var state = BBT.membership(), note = state.note;
      var known = ['provisional', 'quarantined', 'revoked', 'replaced'].indexOf(state.state) >= 0;
      var open = state.state === 'quarantined' || state.state === 'revoked';
      BBT.empty(banner);
      if (!known || where === 'enrol' || where === 'item') { return; }
      banner.appendChild(h('div', { 'class': 'banner banner-' + state.state }, [
        BBT.icon(state.state === 'provisional' ? 'clock' : 'warn'),
        h('strong', { text: t('banner.' + state.state) }),
        h('span', { 'class': 'banner-text', text: note && note.problem ? said(note) : t('banner.' + state.state + '_text') }),
        open ? BBT.button({ text: t('banner.enrol'), onclick: function () { BBT.go('#/enrol'); } }) : null
      ]));
    }
  };
}());
