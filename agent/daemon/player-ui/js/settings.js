/* Settings, behind the technician's PIN: language of the board, files of USB disks, a timetable from a disk. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* Held by the page alone, and only until the technician leaves it or the agent forgets it. */
  var session = null, timer = null;

  function forget() {
    window.clearTimeout(timer);
    session = null;
  }

  function row(title, text, control) {
    return h('div', { 'class': 'setting' }, [h('div', { 'class': 'setting-words' }, [h('strong', { text: title }), text ? h('small', { text: text }) : null]), control]);
  }

  function toggle(on, change) {
    return h('button', { type: 'button', role: 'switch', 'class': 'switch' + (on ? ' switch-on' : ''), 'aria-checked': on ? 'true' : 'false', onclick: function () { change(!on); } },
      [h('span', { 'class': 'switch-knob' }), h('span', { 'class': 'switch-text', text: t(on ? 'settings.on' : 'settings.off') })]);
  }

  BBT.view('settings', function () {
    var el = h('div', { 'class': 'view view-settings' }), known = null, files = null, weeks = null, said = '', bad = false, pad = null, ended = false;

    function tell(ok, words) {
      bad = !ok;
      said = words;
      draw();
    }

    /* Whatever was asked with a session that the agent no longer knows leads back to the PIN. */
    function post(path, body, good, then) {
      var sent = { session: session };
      Object.keys(body).forEach(function (name) { sent[name] = body[name]; });
      BBT.api.post(path, sent, function (ok, answer, status) {
        if (ended) { return; }
        if (!ok && (status === 401 || status === 403)) { forget(); draw(); if (pad) { pad.say(BBT.api.words(answer)); } return; }
        if (ok) { ask(); }
        if (ok && then) { then(answer || {}); }
        tell(ok, ok ? good : BBT.api.words(answer));
      });
    }

    function ask() {
      BBT.api.get('api/settings', function (ok, body) {
        if (ended) { return; }
        known = ok ? body : known;
        draw();
      });
    }

    /* CSES files on the disks that are plugged in. */
    function look() {
      files = [];
      tell(true, t('settings.looking'));
      BBT.api.get('api/disks', function (ok, body) {
        var disks = ok && body ? body.disks || [] : [], left = disks.length;
        if (!left) { tell(false, t('settings.no_disk')); return; }
        disks.forEach(function (disk) {
          BBT.api.get('api/disks/' + encodeURIComponent(disk.id) + '/files?dir=', function (fine, list) {
            left -= 1;
            (fine && list ? list.entries : []).forEach(function (entry) {
              if (/\.(ya?ml|cses)$/i.test(entry.name)) { files.push({ disk: disk.id, file: encodeURIComponent(entry.name), name: entry.name }); }
            });
            if (!left && !ended) { tell(files.length > 0, files.length ? '' : t('settings.no_file')); }
          });
        });
      });
    }

    /* Which weeks are odd is counted from the first one; where only the table knows odd and even, one word about this week
       is enough. */
    function take(one) {
      files = null;
      weeks = null;
      post('api/timetable', { disk: one.disk, file: one.file }, t('settings.timetable_taken'), function (answer) { weeks = answer.needs_first_monday && monday() ? one : null; });
    }

    function monday(before) {
      var today = BBT.data.home && BBT.data.home.clock && BBT.data.home.clock.now, at, local;
      at = new Date(Date.parse(today) + (BBT.data.home ? BBT.data.home.clock.utc_offset_min : 0) * 60000);
      if (!today || isNaN(at.getTime())) { return null; }
      local = new Date(at.getTime() - ((at.getUTCDay() + 6) % 7 + (before || 0)) * 86400000);
      return local.toISOString().slice(0, 10);
    }

    function weekRow() {
      function say(before) {
        return function () { var one = weeks; weeks = null; post('api/timetable', { disk: one.disk, file: one.file, first_monday: monday(before) }, t('settings.timetable_taken')); };
      }
      return row(t('settings.weeks'), t('settings.weeks_text'), h('div', { 'class': 'setting-buttons' }, [
        BBT.button({ text: t('settings.odd'), 'class': 'button-primary', onclick: say(0) }), BBT.button({ text: t('settings.even'), 'class': 'button-primary', onclick: say(7) })
      ]));
    }

    function timetable() {
      var source = BBT.data.home && BBT.data.home.today ? BBT.data.home.today.source : 'none';
      var list = (files || []).map(function (one) {
        return BBT.button({ icon: 'usb', text: one.name, onclick: function () { take(one); } });
      });
      return [
        row(t('settings.timetable'), t('settings.timetable_' + source), h('div', { 'class': 'setting-buttons' }, [
          BBT.button({ icon: 'usb', text: t('settings.from_disk'), onclick: look }),
          source === 'local' ? BBT.button({ text: t('settings.clear'), onclick: function () { post('api/timetable/clear', {}, t('settings.cleared')); } }) : null
        ])),
        list.length ? h('div', { 'class': 'setting-files' }, list) : null,
        weeks ? weekRow() : null
      ];
    }

    function open() {
      var language = known.language || BBT.language;
      return h('div', { 'class': 'settings' }, [
        h('h1', { text: t('settings.title') }),
        h('p', { 'class': 'setting-said' + (bad ? ' said-bad' : ''), role: 'status', text: said }),
        row(t('settings.language'), t('settings.language_text'), h('div', { 'class': 'setting-buttons' }, ['zh-CN', 'en'].map(function (one) {
          return BBT.button({ text: t('settings.in_' + one), 'class': language === one ? 'button-on' : '', onclick: function () { post('api/settings', { language: one }, t('settings.kept')); } });
        }))),
        row(t('settings.usb'), t('settings.usb_text'), toggle(known.usb_play !== false, function (on) { post('api/settings', { usb_play: on }, t('settings.kept')); }))
      ].concat(timetable(), [
        row(t('info.device'), [known.device && known.device.serial, known.version].filter(Boolean).join(' · '),
          h('span', { 'class': 'setting-value', text: (known.device && known.device.id) || t('info.unknown') }))
      ]));
    }

    function closed() {
      var home = BBT.data.home;
      pad = null;
      if (!home) { return BBT.message({ icon: 'gear', title: t('shelf.loading') }); }
      if (home.on_board === false) { return BBT.message({ icon: 'lock', title: t('enrol.elsewhere_title'), text: t('settings.elsewhere') }); }
      if (home.features && home.features.pin_set === false) { return BBT.message({ icon: 'lock', title: t('settings.no_pin'), text: t('settings.no_pin_text') }); }
      pad = BBT.pinPad({
        title: t('settings.pin'), text: t('settings.pin_text'),
        onsubmit: function (pin, done) {
          BBT.api.post('api/settings/unlock', { pin: pin }, function (ok, body) {
            if (ended) { return; }
            if (!ok || !body || !body.session) { done(BBT.api.words(body)); return; }
            session = body.session;
            window.clearTimeout(timer);
            timer = window.setTimeout(function () { forget(); if (!ended) { draw(); } }, (body.ttl_s || 300) * 1000);
            said = '';
            ask();
          });
        }
      });
      return h('div', { 'class': 'pin-page' }, [pad.el]);
    }

    function draw() {
      BBT.empty(el);
      if (session) { pad = null; el.appendChild(known ? open() : BBT.message({ icon: 'gear', title: t('shelf.loading') })); } else { el.appendChild(closed()); }
    }

    draw();
    return {
      el: el,
      update: function () { if (!pad) { draw(); } },
      key: function (event) { return pad ? pad.key(event) : false; },
      destroy: function () { ended = true; forget(); },
      dock: [BBT.backButton()]
    };
  });
}());
