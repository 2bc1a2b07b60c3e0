/* In an exam: its name and the time, nothing else. Where the plan allows listening audio now, the invigilator's PIN opens
   the audio of the exam and nothing but it. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* Listening audio to choose from, and pages of the shelf that are looked through for it. */
  var MOST_AUDIO = 24, MOST_PAGES = 20;

  /* An RFC 3339 moment as the school's clock shows it, '' where there is none. */
  BBT.timeOf = function (moment) {
    var clock = BBT.data.home && BBT.data.home.clock, at;
    if (!moment) { return ''; }
    at = new Date(Date.parse(moment) + (clock ? clock.utc_offset_min : 480) * 60000);
    return isNaN(at.getTime()) ? '' : BBT.dayTime(at.getUTCHours() * 60 + at.getUTCMinutes());
  };

  function exam() { return (BBT.data.home && BBT.data.home.exam) || { state: 'none' }; }

  /* The audio of the exam, with what a person at a desk needs and no more. */
  function player(item, lesson, index, done) {
    var audio = h('audio', { src: item.url, preload: 'metadata' });
    var time = h('span', { 'class': 'listen-time', text: '0:00' }), timer;
    var slider = BBT.slider({ label: t('media.seek'), format: BBT.clock, onchange: function (s) { audio.currentTime = s; } });
    var play = BBT.button({ icon: 'play', text: t('media.play'), 'class': 'button-primary button-huge', onclick: function () {
      if (audio.paused) { audio.play(); } else { audio.pause(); }
    } });
    function draw() {
      slider.set(audio.currentTime || 0, audio.duration || (item.duration_ms || 0) / 1000 || 1);
      time.textContent = BBT.clock(audio.currentTime) + ' / ' + BBT.clock(audio.duration || (item.duration_ms || 0) / 1000);
      BBT.setIcon(play, audio.paused ? 'play' : 'pause');
      play.lastChild.textContent = t(audio.paused ? 'media.play' : 'media.pause');
    }
    function word(event) { BBT.use(lesson, index, event, audio.currentTime, audio.duration || 0); }
    ['timeupdate', 'play', 'pause', 'seeked', 'durationchange'].forEach(function (name) { audio.addEventListener(name, draw); });
    audio.addEventListener('play', function () { word('playing'); });
    audio.addEventListener('pause', function () { word('paused'); });
    audio.addEventListener('error', function () {
      BBT.mediaTrouble(audio, lesson);
      time.textContent = t('media.failed_text');
    });
    timer = window.setInterval(function () { if (!audio.paused) { word('playing'); } }, 10000);
    draw();
    return {
      el: h('div', { 'class': 'listen' }, [
        h('h2', { text: item.title }), audio, h('div', { 'class': 'listen-bar' }, [slider.el]), time, play,
        BBT.button({ text: t('exam.other_audio'), onclick: done })
      ]),
      end: function () {
        window.clearInterval(timer);
        audio.pause();
        audio.removeAttribute('src');
        audio.load();
      }
    };
  }

  BBT.view('exam', function () {
    var el = h('div', { 'class': 'view view-exam' });
    var name = h('h1', {}), clock = h('p', { 'class': 'exam-clock' }), until = h('p', { 'class': 'exam-until' });
    var below = h('div', { 'class': 'exam-below' });
    var mode = '', pad = null, playing = null, lessons = null, looked = false, picked = null, timer, ended = false;

    function tick() {
      var wall = BBT.wall(), now = exam();
      clock.textContent = wall ? BBT.dayTime(wall.minutes) : '';
      name.textContent = now.name || t('exam.title');
      until.textContent = now.from && now.to ? t('exam.until', { from: BBT.timeOf(now.from), to: BBT.timeOf(now.to) }) : '';
    }

    function end() {
      if (playing) { playing.end(); }
      playing = null;
      pad = null;
    }

    function askPin() {
      mode = 'pin';
      end();
      pad = BBT.pinPad({
        title: t('exam.pin'), cancel: function () { mode = ''; update(); },
        onsubmit: function (pin, done) {
          BBT.api.post('api/exam/pin', { pin: pin }, function (ok, body) {
            if (ended) { return; }
            if (!ok) {
              done(body && body.locked_s ? t('exam.locked', { n: body.locked_s })
                : body && body.tries_left !== undefined ? t('exam.pin_wrong', { n: body.tries_left }) : BBT.api.words(body));
              return;
            }
            mode = '';
            pad = null;
            BBT.data.refresh();
          });
        }
      });
      BBT.empty(below).appendChild(pad.el);
    }

    /* Lessons with audio: of the subject that the exam's name holds and of this class's grade, as far as there are any. */
    function loadAudio() {
      var subject = BBT.subjects.map(function (one) { return one.name; }).filter(function (one) { return (exam().name || '').indexOf(one) >= 0; })[0] || '';
      var grade = BBT.data.grade(), page = 0, found = [];
      function ask() {
        BBT.api.get('api/lessons?state=ready&limit=100&offset=' + page * 100 + (subject ? '&subject=' + encodeURIComponent(subject) : '') +
          (grade ? '&grade=' + encodeURIComponent(grade) : ''), function (ok, body) {
          if (ended) { return; }
          if (ok && body) {
            found = found.concat(body.lessons.filter(function (one) { return one.kinds.indexOf('audio') >= 0; }));
            page += 1;
            if (found.length < MOST_AUDIO && page < MOST_PAGES && page * 100 < body.total) { ask(); return; }
          }
          if (!found.length && (grade || subject)) {
            if (grade) { grade = ''; } else { subject = ''; }
            page = 0;
            ask();
            return;
          }
          lessons = found.slice(0, MOST_AUDIO);
          looked = true;
          update(true);
        });
      }
      lessons = [];
      ask();
    }

    function open(lesson) {
      BBT.api.get('api/lessons/' + encodeURIComponent(lesson.id), function (ok, body) {
        if (!ok || !body || ended) { return; }
        picked = body;
        update(true);
      });
    }

    function choose() {
      var list = h('div', { 'class': 'listen-list' });
      if (picked) {
        picked.items.forEach(function (item, index) {
          if (item.kind !== 'audio') { return; }
          list.appendChild(BBT.button({ icon: 'audio', text: item.title, 'class': 'button-large', onclick: function () {
            end();
            playing = player(item, picked, index, function () { end(); picked = null; update(true); });
            BBT.empty(below).appendChild(playing.el);
          } }));
        });
      } else {
        (lessons || []).forEach(function (lesson) {
          list.appendChild(BBT.button({ icon: 'audio', text: BBT.titleOf(lesson), 'class': 'button-large', onclick: function () { open(lesson); } }));
        });
      }
      return h('div', {}, [h('h2', { text: t(!picked && looked && !lessons.length ? 'exam.no_audio' : 'exam.choose') }), list]);
    }

    function update(force) {
      var now = exam(), next;
      tick();
      next = now.state === 'listening' ? 'listening' : mode === 'pin' && now.audio_now ? 'pin' : now.audio_now && now.pin_set ? 'door' : 'silent';
      if (next !== 'listening' && playing) { end(); picked = null; force = true; }
      if (next === below.getAttribute('data-mode') && !force) { return; }
      below.setAttribute('data-mode', next);
      BBT.toggle(el, 'exam-open', next === 'listening' || next === 'pin');
      if (next === 'pin') { askPin(); return; }
      if (playing) { return; }
      BBT.empty(below);
      if (next === 'door') {
        below.appendChild(BBT.button({ icon: 'audio', text: t('exam.open'), 'class': 'exam-door', onclick: function () { mode = 'pin'; update(true); } }));
      } else if (next === 'listening') {
        if (!lessons) {
          loadAudio();
          if (now.lesson_hint) { open({ id: now.lesson_hint }); }
        }
        below.appendChild(choose());
        below.appendChild(BBT.button({ text: t('exam.close'), 'class': 'exam-door', onclick: function () {
          BBT.api.post('api/exam/close', {}, function () { BBT.data.refresh(); });
        } }));
      }
    }

    [name, clock, until, below].forEach(function (part) { el.appendChild(part); });
    timer = window.setInterval(tick, 1000);
    update();
    return {
      el: el, update: function () { update(); }, dock: [],
      destroy: function () { ended = true; window.clearInterval(timer); end(); },
      key: function (event) { return pad ? pad.key(event) : false; }
    };
  });
}());
