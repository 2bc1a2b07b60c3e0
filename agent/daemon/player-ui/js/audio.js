/* Audio for listening lessons: sentence by sentence, by the words that the recording brings or else by its silences. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* Recordings longer than this are not looked into for their silences: memory of a 1 GiB board. */
  var MOST_BYTES = 20000000, MOST_S = 900, RATE = 8000;

  /* Sentences of samples at `rate` a second: [{startTime, endTime}], parted where it is silent for a third of a second. */
  BBT.sentencesOf = function (samples, rate) {
    var frame = Math.round(rate / 50), levels = [], sentences = [], i, j, sum, floor, sorted, limit, start = -1, quiet = 0;
    for (i = 0; i + frame <= samples.length; i += frame) {
      sum = 0;
      for (j = i; j < i + frame; j += 1) { sum += samples[j] * samples[j]; }
      levels.push(Math.sqrt(sum / frame));
    }
    if (!levels.length) { return []; }
    sorted = levels.slice().sort(function (x, y) { return x - y; });
    floor = sorted[Math.floor(sorted.length * 0.1)];
    limit = Math.max(0.0015, Math.min(floor * 3, sorted[Math.floor(sorted.length * 0.9)] * 0.25));
    for (i = 0; i <= levels.length; i += 1) {
      if (i < levels.length && levels[i] > limit) {
        if (start < 0) { start = i; }
        quiet = 0;
      } else if (start >= 0) {
        quiet += 1;
        if (quiet >= 17 || i === levels.length) {
          if (i - quiet - start >= 20) { sentences.push({ startTime: Math.max(0, start / 50 - 0.15), endTime: (i - quiet) / 50 + 0.25 }); }
          start = -1;
        }
      }
    }
    return sentences;
  };

  /* Reads the recording once, thinned to telephone quality, and tells its sentences; never where it is too large. */
  function listen(url, seconds, done) {
    var Offline = window.OfflineAudioContext || window.webkitOfflineAudioContext;
    var call = new XMLHttpRequest();
    if (!Offline || seconds > MOST_S) { return call; }
    call.open('GET', url);
    call.responseType = 'arraybuffer';
    call.onprogress = function (event) { if (event.total > MOST_BYTES || event.loaded > MOST_BYTES) { call.abort(); } };
    call.onload = function () {
      var context;
      if (call.status !== 200 || !call.response) { return; }
      try { context = new Offline(1, 1, RATE); } catch (e) { return; }
      context.decodeAudioData(call.response, function (sound) { done(BBT.sentencesOf(sound.getChannelData(0), sound.sampleRate)); }, function () {});
    };
    call.send();
    return call;
  }

  BBT.viewers.audio = function (context) {
    var audio = h('audio', { preload: 'auto' });
    var lines = h('div', { 'class': 'audio-lines' });
    var hero = BBT.button({ icon: 'play', label: t('media.play'), 'class': 'audio-play', onclick: function () { controls.toggle(); } });
    var el = h('div', { 'class': 'audio' }, [
      audio, h('div', { 'class': 'audio-face' }, [hero, h('h1', { text: context.item.title })]), lines
    ]);
    var repeat = null, repeating = false, drawn = 0, heard = [], asking = null, timer = null, controls;
    var keys = [];

    function cuesOf() {
      var subs = controls && controls.subs;
      if (!subs || !subs.list.length) { return heard; }
      return subs.cues(subs.chosen() === null ? 0 : subs.chosen());
    }

    /* The last cue that has begun at `seconds`, -1 before the first. */
    function cueAt(seconds) {
      var cues = cuesOf(), i, at = -1;
      for (i = 0; i < cues.length; i += 1) {
        if (cues[i].startTime <= seconds + 0.05) { at = i; }
      }
      return at;
    }

    function drawLines(subs) {
      var cues = subs && subs.chosen() !== null ? subs.cues() : [];
      BBT.empty(lines);
      BBT.toggle(el, 'audio-with-lines', cues.length > 0);
      cues.forEach(function (cue, i) {
        lines.appendChild(h('button', {
          type: 'button', 'class': 'audio-line', text: BBT.cueText(cue), 'data-line': String(i),
          onclick: function () { controls.seek(cue.startTime); controls.start(); }
        }));
      });
      drawn = cues.length;
      follow();
    }

    function follow() {
      var at = cueAt(audio.currentTime || 0);
      [].forEach.call(lines.children, function (line, i) {
        var on = i === at;
        if (on && !line.classList.contains('audio-line-on')) {
          lines.scrollTop = line.offsetTop - lines.clientHeight / 2 + line.offsetHeight / 2;
        }
        BBT.toggle(line, 'audio-line-on', on);
      });
    }

    controls = BBT.mediaControls(audio, context, {
      back: 5, preference: 'subtitles.audio', subtitlesOn: false,
      onsubtitles: function (subs) {
        if (subs && (subs.chosen() === null ? 0 : subs.cues().length) !== drawn) { drawLines(subs); }
      }
    });
    /* Sentence keys need the cues even while the words are hidden, as they should be in a listening test. */
    controls.subs.load(0);

    function sentence(by) {
      var cues = cuesOf(), at = cueAt(audio.currentTime);
      if (!cues.length) { controls.jump(by * 5); return; }
      /* Early in a sentence "last" means the one before; later it means this one again. */
      if (by < 0 && at >= 0 && audio.currentTime - cues[at].startTime > 1.5) { by = 0; }
      controls.seek(cues[BBT.clamp(at + by, 0, cues.length - 1)].startTime);
      if (repeating) { repeat = cues[BBT.clamp(at + by, 0, cues.length - 1)]; }
    }

    function tick() {
      if (repeating && repeat && audio.currentTime >= repeat.endTime) { audio.currentTime = repeat.startTime; }
    }

    function drawKeys() {
      var any = controls.subs.list.length > 0 || heard.length > 1;
      keys.forEach(function (key) { BBT.toggle(key, 'hidden', !any); });
    }

    function drawState() {
      BBT.setIcon(hero, audio.paused ? 'play' : 'pause');
      BBT.setLabel(hero, t(audio.paused ? 'media.play' : 'media.pause'));
      BBT.toggle(el, 'audio-playing', !audio.paused);
    }
    ['play', 'pause', 'ended'].forEach(function (name) { audio.addEventListener(name, drawState); });
    ['timeupdate', 'seeked'].forEach(function (name) { audio.addEventListener(name, follow); });
    /* `timeupdate` comes four times a second: too late for the end of a sentence. */
    timer = window.setInterval(tick, 40);
    audio.addEventListener('loadedmetadata', function () {
      if (asking || controls.subs.list.length) { return; }
      asking = listen(context.item.url, audio.duration, function (sentences) {
        heard = sentences;
        el.setAttribute('data-sentences', String(heard.length));
        drawKeys();
      });
    });

    keys = [
      BBT.button({ icon: 'sentenceback', label: t('media.sentence_back'), onclick: function () { sentence(-1); } }),
      BBT.button({ icon: 'sentenceforward', label: t('media.sentence_forward'), onclick: function () { sentence(1); } }),
      BBT.button({
        icon: 'repeat', text: t('media.repeat_short'), label: t('media.repeat'), 'class': 'button-repeat',
        onclick: function (event) {
          repeating = !repeating;
          repeat = repeating ? cuesOf()[Math.max(0, cueAt(audio.currentTime))] || null : null;
          BBT.toggle(event.currentTarget, 'button-on', repeating);
        }
      })
    ];
    drawKeys();

    return {
      el: el, seek: controls.seekRow,
      tools: [keys[0], controls.back, controls.play, controls.forward, keys[1], keys[2], controls.precise, controls.speed, controls.volume, controls.subtitles].filter(Boolean),
      mounted: function () { audio.src = context.item.url; controls.start(); follow(); },
      key: function (event) {
        switch (event.key) {
          case 'PageUp': sentence(-1); return true;
          case 'PageDown': sentence(1); return true;
          case 'r': case 'R': keys[2].click(); return true;
          default: return controls.key(event);
        }
      },
      destroy: function () {
        window.clearInterval(timer);
        if (asking) { asking.abort(); }
        controls.destroy();
      }
    };
  };
}());
