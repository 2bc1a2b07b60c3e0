/* 课前检查: one tap looks at network, loudspeaker, next lesson and clock, and makes a sound; and the live class, which the board
   opens by its name in the board's own list. Where the line will not do, a lesson of this board is one tap away. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var PARTS = [['network', 'link'], ['sound', 'volume'], ['lesson', 'book'], ['clock', 'clock']];
  var LIGHTS = { green: 'check', yellow: 'warn', red: 'cross' };

  function words(said) { return BBT.language === 'en' ? said.en : said.zh; }

  /* Two notes, loud enough for the last row, soft at their ends so that no old loudspeaker cracks. */
  BBT.tone = function () {
    var Audio = window.AudioContext || window.webkitAudioContext, sound;
    try { sound = new Audio(); } catch (e) { return; }
    if (sound.resume) { sound.resume(); }
    [523, 784].forEach(function (pitch, nth) {
      var note = sound.createOscillator(), volume = sound.createGain(), from = sound.currentTime + 0.05 + nth * 0.6;
      note.frequency.value = pitch;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.5, from + 0.05);
      volume.gain.setValueAtTime(0.5, from + 0.45);
      volume.gain.linearRampToValueAtTime(0, from + 0.55);
      note.connect(volume);
      volume.connect(sound.destination);
      note.start(from);
      note.stop(from + 0.6);
    });
    window.setTimeout(function () { sound.close(); }, 2500);
  };

  BBT.view('check', function () {
    var list = h('section', { 'class': 'check-list', 'aria-live': 'polite' }), live = h('section', { 'class': 'check-live' });
    var el = h('div', { 'class': 'view view-check' }, [list, live]);
    var found = null, failed = '', busy = true, apps = [], asked = '', said = null, answered = '', ended = false;
    var again = BBT.button({ icon: 'again', text: t('check.again'), 'class': 'button-primary button-wide', onclick: look });

    function fallback() { return (said && said.fallback) || (found && found.fallback) || null; }

    function start(lesson) {
      BBT.go(lesson.state === 'ready' && lesson.items ? BBT.itemHash(lesson.id, 0) : '#/lesson/' + encodeURIComponent(lesson.id));
    }

    function row(part, icon, one) {
      var light = one ? one.light : 'wait', tools = [];
      if (one && one.fix === 'unmute') { tools.push(BBT.button({ icon: 'volume', text: t('check.unmute'), 'class': 'button-primary', onclick: unmute })); }
      if (one && one.fix === 'lesson') { tools.push(BBT.button({ icon: 'book', text: t('home.choose'), onclick: function () { BBT.go(BBT.shelfOf('')); } })); }
      if (one && part === 'sound' && one.fix !== 'unmute') {
        if (answered === '') {
          tools.push(BBT.button({ icon: 'again', text: t('check.listen'), onclick: BBT.tone }));
          tools.push(BBT.button({ icon: 'check', text: t('check.heard'), onclick: function () { answered = 'yes'; draw(); } }));
          tools.push(BBT.button({ icon: 'cross', text: t('check.not_heard'), onclick: function () { BBT.go('#/fault/sound'); } }));
        }
      }
      return h('div', { 'class': 'check-row check-' + light, 'data-part': part, 'data-light': light }, [
        h('span', { 'class': 'check-light', 'aria-hidden': 'true' }, [BBT.icon(one ? LIGHTS[light] : icon)]),
        h('div', { 'class': 'check-words' }, [
          h('strong', { text: t('check.part_' + part) }),
          h('p', { text: one ? words(one) + (part === 'sound' && answered === 'yes' ? t('check.heard_too') : '') : t('check.looking') })
        ]),
        tools.length ? h('div', { 'class': 'check-tools' }, tools) : null
      ]);
    }

    function appRow(app) {
      var line = app.line, poor = line && line.light !== 'green';
      return h('div', { 'class': 'check-app', 'data-app': app.id }, [
        h('div', { 'class': 'check-words' }, [h('strong', { text: app.name }), line ? h('p', { 'class': poor ? 'check-poor' : '', text: t(poor ? 'check.poor' : 'check.good') }) : null]),
        app.running
          ? BBT.button({ icon: 'cross', text: t('check.end'), onclick: function () { end(); } })
          : BBT.button({ icon: 'video', text: t('check.open'), 'class': poor ? '' : 'button-primary', onclick: function () { open(app, false); } })
      ]);
    }

    function drawLive() {
      var other = fallback();
      BBT.empty(live);
      live.appendChild(h('h2', { text: t('check.live') }));
      if (!apps.length) { live.appendChild(h('p', { 'class': 'check-none', text: t('check.no_app') })); }
      /* What was asked for and the way out of it fit on the screen together. */
      apps.filter(function (app) { return !said || said.opened || app.id === asked; }).forEach(function (app) { live.appendChild(appRow(app)); });
      if (said && said.said) {
        live.appendChild(h('div', { 'class': 'check-said' + (said.opened ? '' : ' check-bad'), role: 'status' }, [
          h('p', { text: words(said.said) }),
          said.opened || said.said.code === 'live_failed' ? null : BBT.button({ text: t('check.anyway'), onclick: function () { open({ id: asked }, true); } })
        ]));
      }
      if (!other && !busy) {
        live.appendChild(h('div', { 'class': 'check-other' }, [
          h('p', { text: t('check.instead') }),
          BBT.button({ icon: 'book', text: t('home.choose'), 'class': 'button-large check-take' + (said && !said.opened ? ' button-primary' : ''), onclick: function () { BBT.go(BBT.shelfOf('')); } })
        ]));
      }
      if (other) {
        live.appendChild(h('div', { 'class': 'check-other' }, [
          h('p', { text: t('check.instead') }), h('strong', { text: BBT.titleOf(other) }),
          BBT.button({ icon: 'play', text: t('check.take'), 'class': 'button-large check-take' + (said && !said.opened ? ' button-primary' : ''), onclick: function () { start(other); } })
        ]));
      }
    }

    function draw() {
      var parts = {}, done = found && !busy;
      (found ? found.parts : []).forEach(function (one) { parts[one.part] = one; });
      BBT.empty(list);
      list.appendChild(h('h1', { text: t(busy ? 'check.title' : failed ? 'check.failed' : PARTS.every(function (p) { return parts[p[0]] && parts[p[0]].light === 'green'; }) ? 'check.all_good' : 'check.some') }));
      if (failed) { list.appendChild(h('p', { 'class': 'said-bad', text: failed })); }
      PARTS.forEach(function (part) { list.appendChild(row(part[0], part[1], busy ? null : parts[part[0]])); });
      if (done) { el.setAttribute('data-took', String(found.took_ms)); }
      again.disabled = busy;
      drawLive();
    }

    function look() {
      busy = true;
      failed = '';
      said = null;
      answered = '';
      draw();
      BBT.api.post('api/class/check', {}, function (ok, body) {
        var muted;
        if (ended) { return; }
        busy = false;
        if (ok && body && body.parts) {
          found = body;
          apps = body.apps || [];
          muted = body.parts.some(function (one) { return one.code === 'sound_mute'; });
          if (!muted) { BBT.tone(); }
        } else {
          failed = BBT.api.words(body);
        }
        draw();
      });
    }

    function unmute() {
      BBT.api.post('api/class/unmute', {}, function (ok, body) {
        if (ended) { return; }
        if (ok && body && body.part) {
          found.parts = found.parts.map(function (one) { return one.part === 'sound' ? body : one; });
          if (body.code !== 'sound_mute') { BBT.tone(); }
        } else {
          failed = BBT.api.words(body);
        }
        draw();
      });
    }

    function open(app, anyway) {
      asked = app.id;
      said = { said: { zh: t('check.opening'), en: t('check.opening'), code: 'live_failed' }, opened: true, fallback: fallback() };
      drawLive();
      BBT.api.post('api/class/open', { app: app.id, anyway: anyway }, function (ok, body) {
        var text = BBT.api.words(body);
        if (ended) { return; }
        said = ok && body ? body : { said: { zh: text, en: text, code: 'live_failed' }, opened: false, fallback: fallback() };
        refreshApps();
      });
    }

    function end() {
      BBT.api.post('api/class/end', {}, function () {
        said = null;
        if (!ended) { window.setTimeout(refreshApps, 600); }
      });
    }

    function refreshApps() {
      BBT.api.get('api/class', function (ok, body) {
        if (ended) { return; }
        if (ok && body) {
          apps = body.apps.map(function (app) {
            var before = apps.filter(function (one) { return one.id === app.id; })[0];
            return BBT.with(app, { line: before ? before.line : null });
          });
        }
        drawLive();
      });
    }

    if (BBT.data.home && BBT.data.home.on_board === false) {
      BBT.empty(el).appendChild(BBT.message({ icon: 'lock', title: t('enrol.elsewhere_title'), text: t('check.elsewhere') }));
      return { el: el, dock: [BBT.backButton()] };
    }
    look();
    return {
      el: el,
      destroy: function () { ended = true; },
      dock: [BBT.backButton(), h('div', { 'class': 'dock-end' }, [again])]
    };
  });
}());
