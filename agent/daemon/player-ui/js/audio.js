/* Audio for listening lessons: sentence by sentence where the recording brings its words. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  BBT.viewers.audio = function (context) {
    var audio = h('audio', { preload: 'auto' });
    var lines = h('div', { 'class': 'audio-lines' });
    var hero = BBT.button({ icon: 'play', label: t('media.play'), 'class': 'audio-play', onclick: function () { controls.toggle(); } });
    var el = h('div', { 'class': 'audio' }, [
      audio, h('div', { 'class': 'audio-face' }, [hero, h('h1', { text: context.item.title })]), lines
    ]);
    var repeat = null, repeating = false, drawn = 0, controls;

    function cuesOf() {
      var subs = controls && controls.subs;
      if (!subs || !subs.list.length) { return []; }
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
          type: 'button', 'class': 'audio-line', text: cue.text.replace(/<[^>]*>/g, ''), 'data-line': String(i),
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
      follow();
    }

    function drawState() {
      BBT.setIcon(hero, audio.paused ? 'play' : 'pause');
      BBT.setLabel(hero, t(audio.paused ? 'media.play' : 'media.pause'));
      BBT.toggle(el, 'audio-playing', !audio.paused);
    }
    ['play', 'pause', 'ended'].forEach(function (name) { audio.addEventListener(name, drawState); });
    ['timeupdate', 'seeked'].forEach(function (name) { audio.addEventListener(name, tick); });

    function tools() {
      var list = [controls.back, controls.play, controls.forward];
      if (controls.subs.list.length) {
        list.unshift(BBT.button({ icon: 'sentenceback', label: t('media.sentence_back'), onclick: function () { sentence(-1); } }));
        list.push(BBT.button({ icon: 'sentenceforward', label: t('media.sentence_forward'), onclick: function () { sentence(1); } }));
        list.push(BBT.button({
          icon: 'repeat', text: t('media.repeat'),
          onclick: function (event) {
            repeating = !repeating;
            repeat = repeating ? cuesOf()[Math.max(0, cueAt(audio.currentTime))] || null : null;
            BBT.toggle(event.currentTarget, 'button-on', repeating);
          }
        }));
      }
      return list.concat([controls.speed, controls.volume, controls.subtitles]).filter(Boolean);
    }

    return {
      el: el, seek: controls.seekRow, tools: tools(),
      mounted: function () { audio.src = context.item.url; controls.start(); follow(); },
      key: controls.key,
      destroy: controls.destroy
    };
  };
}());
