/* What video and audio share: touch controls, seeking with preview, speed, volume, subtitles, A–B, resume. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
  var SAVE_MS = 5000;
  /* Nearer to either end a position is not worth returning to, in seconds. */
  var RESUME_MIN_S = 10;
  var MOST_POSITIONS = 200;
  /* So near to an end an arrow key has nowhere to jump: it leads to the item beside this one. */
  var EDGE_S = 1;
  /* Of a teacher's own files, until the page is left. */
  var passing = {};

  /* A bar that is dragged: {label, format(value), onchange(value)} → {el, set(value, max), buffered(part)}. */
  BBT.slider = function (options) {
    var fill = h('div', { 'class': 'slider-fill' });
    var ahead = h('div', { 'class': 'slider-ahead' });
    var knob = h('div', { 'class': 'slider-knob' });
    var bubble = h('div', { 'class': 'slider-bubble' });
    var part = h('div', { 'class': 'slider-part hidden' });
    var el = h('div', {
      'class': 'slider', role: 'slider', tabindex: '0', 'aria-label': options.label, 'aria-valuemin': '0'
    }, [h('div', { 'class': 'slider-track' }, [ahead, fill, part]), knob, bubble]);
    var max = 1, value = 0, dragging = false, wanted = 0;

    function at(event) {
      var box = el.getBoundingClientRect();
      return BBT.clamp((event.clientX - box.left) / (box.width || 1), 0, 1) * max;
    }
    function draw(shown) {
      var part = max > 0 ? BBT.clamp(shown / max, 0, 1) * 100 : 0;
      fill.style.width = part + '%';
      knob.style.left = part + '%';
    }
    function preview(event) {
      var point = at(event);
      bubble.textContent = options.format(point);
      bubble.style.left = (max > 0 ? point / max * 100 : 0) + '%';
      return point;
    }
    function end(event) {
      if (!dragging) { return; }
      dragging = false;
      el.classList.remove('dragging');
      if (event.type === 'pointerup') { options.onchange(wanted); value = wanted; }
      draw(value);
    }
    el.addEventListener('pointerdown', function (event) {
      if (event.button) { return; }
      dragging = true;
      el.classList.add('dragging');
      if (el.setPointerCapture) { el.setPointerCapture(event.pointerId); }
      wanted = preview(event);
      draw(wanted);
    });
    el.addEventListener('pointermove', function (event) {
      if (dragging) {
        wanted = preview(event);
        draw(wanted);
        if (options.live) { options.onchange(wanted); }
      } else if (event.pointerType === 'mouse') {
        preview(event);
      }
    });
    el.addEventListener('pointerup', end);
    el.addEventListener('pointercancel', end);
    return {
      el: el,
      set: function (now, most) {
        value = now;
        max = most;
        if (!dragging) { draw(now); }
        el.setAttribute('aria-valuemax', String(Math.round(most * 100) / 100));
        el.setAttribute('aria-valuenow', String(Math.round(now * 100) / 100));
        el.setAttribute('aria-valuetext', options.format(now));
      },
      ahead: function (upTo) { ahead.style.width = BBT.clamp(upTo, 0, 1) * 100 + '%'; },
      /* The stretch between two values, or none. */
      part: function (from, to) {
        BBT.toggle(part, 'hidden', from === null || max <= 0);
        if (from === null) { return; }
        part.style.left = BBT.clamp(from / max, 0, 1) * 100 + '%';
        part.style.width = BBT.clamp((to - from) / max, 0, 1) * 100 + '%';
      }
    };
  };

  /* A button that opens a small panel above itself; `fill(panel, close)` draws it at each opening. */
  BBT.popover = function (button, fill) {
    var panel = h('div', { 'class': 'popover hidden' });
    var wrap = h('div', { 'class': 'popover-wrap' }, [button, panel]);
    function close() {
      panel.classList.add('hidden');
      button.setAttribute('aria-expanded', 'false');
      document.removeEventListener('pointerdown', outside, true);
    }
    function outside(event) { if (!wrap.contains(event.target)) { close(); } }
    button.setAttribute('aria-expanded', 'false');
    button.addEventListener('click', function () {
      if (!panel.classList.contains('hidden')) { close(); return; }
      fill(BBT.empty(panel), close);
      panel.classList.remove('hidden');
      button.setAttribute('aria-expanded', 'true');
      document.addEventListener('pointerdown', outside, true);
    });
    return { el: wrap, close: close, isOpen: function () { return !panel.classList.contains('hidden'); } };
  };

  function choices(panel, close, list, chosen, pick) {
    list.forEach(function (choice) {
      panel.appendChild(h('button', {
        type: 'button', 'class': 'choice' + (choice.value === chosen ? ' choice-on' : ''), text: choice.text,
        onclick: function () { pick(choice.value); close(); }
      }));
    });
  }

  function prunePositions() {
    var keys = BBT.store.keys('pos.');
    /* Which go is of no matter: a lost position only means starting at the beginning. */
    keys.slice(0, Math.max(0, keys.length - MOST_POSITIONS)).forEach(BBT.store.remove);
  }

  /* Where this item was left: as the board remembers it, which also another page may have told, else as this page does. */
  function positions(context) {
    var key = 'pos.' + context.key;
    return {
      load: function () {
        var here = context.lesson ? Number(BBT.store.get(key)) || 0 : passing[context.item.url] || 0;
        return typeof context.position === 'number' && context.position > 0 ? context.position : here;
      },
      save: function (seconds, duration) {
        if (!context.lesson) { passing[context.item.url] = seconds < duration * 0.95 ? seconds : 0; return; }
        if (seconds > RESUME_MIN_S && seconds < duration * 0.95) {
          BBT.store.set(key, String(Math.floor(seconds)));
        } else {
          BBT.store.remove(key);
        }
      }
    };
  }

  /* The words of a cue as they are meant: marks taken off, `&amp;` read. */
  BBT.cueText = function (cue) {
    var parsed = cue.getCueAsHTML ? cue.getCueAsHTML() : null;
    return parsed ? parsed.textContent : cue.text.replace(/<[^>]*>/g, '');
  };

  /* WebVTT through hidden tracks: the page draws the words itself, above its controls and large enough. */
  function subtitles(media, context, preference, fallback, onchange) {
    var list = context.item.subtitles || [];
    var chosen = null;
    var elements = list.map(function (sub) {
      var track = h('track', { kind: 'subtitles', src: sub.url, srclang: sub.lang, label: sub.label });
      media.appendChild(track);
      track.addEventListener('load', function () { onchange(); });
      track.track.addEventListener('cuechange', function () { onchange(); });
      return track;
    });
    function choose(at) {
      chosen = at;
      elements.forEach(function (track, i) { track.track.mode = i === at ? 'hidden' : 'disabled'; });
      onchange();
    }
    function preferred() {
      var wanted = BBT.store.get(preference), i;
      if (wanted === 'off' || (wanted === null && !fallback)) { return null; }
      for (i = 0; i < list.length; i += 1) {
        if (list[i].lang === (wanted || BBT.language)) { return i; }
      }
      return list.length ? 0 : null;
    }
    return {
      list: list,
      start: function () { choose(preferred()); },
      chosen: function () { return chosen; },
      choose: function (at) {
        BBT.store.set(preference, at === null ? 'off' : list[at].lang);
        choose(at);
      },
      /* All cues of track `at`, or of the chosen one. */
      cues: function (at) {
        var track = elements[at === undefined ? chosen : at];
        return track && track.track.cues ? [].slice.call(track.track.cues) : [];
      },
      active: function () {
        var track = chosen === null ? null : elements[chosen];
        return track && track.track.activeCues ? [].slice.call(track.track.activeCues) : [];
      },
      load: function (at) { if (elements[at] && elements[at].track.mode === 'disabled') { elements[at].track.mode = 'hidden'; } }
    };
  }

  /* A stretch that is played again and again, and steps of one frame: a row of its own above the seek bar.
     control: {media, seek(s), duration(), marked(from, to)}; `frames` where there are pictures. */
  function precise(control, frames) {
    var media = control.media, from = null, to = null, timer = null, rate = 25, measured = null;
    var seen = [], over = false;
    var row = h('div', { 'class': 'precise hidden' });
    var a = BBT.button({ text: t('media.mark_a'), label: t('media.mark_a'), 'class': 'button-mark-a', onclick: function () { mark('a'); } });
    var b = BBT.button({ text: t('media.mark_b'), label: t('media.mark_b'), 'class': 'button-mark-b', onclick: function () { mark('b'); } });
    var none = BBT.button({ icon: 'cross', text: t('media.mark_none'), 'class': 'button-mark-none', onclick: function () { mark(null); } });
    var shown = h('span', { 'class': 'precise-value' });
    /* Where two fit, the one that comes first is meant. */
    var RATES = [25, 24, 30, 50, 60, 23.976, 29.97, 59.94];

    function settle(real) {
      var best = RATES.slice().sort(function (x, y) { return Math.abs(x - real) - Math.abs(y - real); })[0];
      if (Math.abs(real - best) < best * 0.015) { rate = best; }
    }

    /* The file's own rate is in no place where a page could read it. Newer engines tell the time of each frame they show,
       though on a busy board not of every frame: the rate is the one on whose grid all those times lie. Older engines count
       frames: so many in so much of the film. 25 until it is known. */
    function frameShown(now, frame) {
      var fits;
      if (over) { return; }
      seen.push(frame.mediaTime);
      seen = seen.slice(-240);
      if (seen.length > 5) {
        fits = RATES.map(function (one) {
          return { rate: one, off: Math.max.apply(null, seen.map(function (at) {
            var n = (at - seen[0]) * one;
            return Math.abs(n - Math.round(n));
          })) };
        }).filter(function (one) { return one.off < 0.06; }).sort(function (x, y) {
          return Math.abs(x.off - y.off) > 0.01 ? x.off - y.off : RATES.indexOf(x.rate) - RATES.indexOf(y.rate);
        });
        if (fits.length) { rate = fits[0].rate; }
      }
      media.requestVideoFrameCallback(frameShown);
    }
    function measure() {
      var quality = media.getVideoPlaybackQuality ? media.getVideoPlaybackQuality() : null;
      var count = quality ? quality.totalVideoFrames : media.webkitDecodedFrameCount;
      if (!count || media.paused || media.seeking || media.playbackRate !== 1 || (measured && media.currentTime < measured.at)) {
        measured = null;
      } else if (!measured) {
        measured = { at: media.currentTime, count: count };
      } else if (media.currentTime - measured.at > 4) {
        settle((count - measured.count) / (media.currentTime - measured.at));
      }
    }

    /* Into the middle of a frame, so that rounding never shows the one beside it. */
    function step(by) {
      var frame = Math.floor(media.currentTime * rate + 0.001);
      media.pause();
      control.seek((Math.max(0, frame + by) + 0.5) / rate);
    }

    function loop() {
      if (from !== null && to !== null && !media.paused && (media.currentTime >= to || media.currentTime < from - 1)) { media.currentTime = from; }
    }

    function mark(which) {
      var now = media.currentTime;
      if (which === null) { from = to = null; }
      if (which === 'a') {
        from = now;
        if (to !== null && to <= from + 0.2) { to = null; }
      }
      if (which === 'b') {
        if (from === null) { from = 0; }
        to = now > from + 0.2 ? now : null;
        if (to !== null) { control.seek(from); }
      }
      window.clearInterval(timer);
      if (to !== null) { timer = window.setInterval(loop, 40); }
      draw();
    }

    function draw() {
      BBT.toggle(a, 'button-on', from !== null);
      BBT.toggle(b, 'button-on', to !== null);
      none.disabled = from === null;
      shown.textContent = from === null ? '' : t('media.marks', { a: BBT.clock(from), b: to === null ? '…' : BBT.clock(to) });
      control.marked(from, to === null ? control.duration() : to);
    }

    if (frames) {
      row.appendChild(BBT.button({ icon: 'frameback', text: t('media.frame_back'), 'class': 'button-frame-back', onclick: function () { step(-1); } }));
      row.appendChild(BBT.button({ icon: 'frameforward', text: t('media.frame_forward'), 'class': 'button-frame-forward', onclick: function () { step(1); } }));
    }
    [a, b, none, shown].forEach(function (part) { row.appendChild(part); });
    if (frames && media.requestVideoFrameCallback) {
      media.requestVideoFrameCallback(frameShown);
    } else if (frames) {
      media.addEventListener('timeupdate', measure);
    }
    none.disabled = true;

    return {
      el: row, step: step, redraw: draw,
      isOpen: function () { return !row.classList.contains('hidden'); },
      toggle: function () {
        var open = row.classList.contains('hidden');
        BBT.toggle(row, 'hidden', !open);
        BBT.toggle(document.body, 'precise-open', open);
        return open;
      },
      /* One key for all three: here, to here, no more. */
      key: function () { mark(from === null ? 'a' : to === null ? 'b' : null); },
      destroy: function () {
        over = true;
        window.clearInterval(timer);
        document.body.classList.remove('precise-open');
      }
    };
  }

  /* Controls of `media`. options: {back, forward (s), preference, subtitlesOn, onsubtitles, ontoast, frames}. */
  BBT.mediaControls = function (media, context, options) {
    var where = positions(context);
    var time = h('span', { 'class': 'seek-time' }), left = h('span', { 'class': 'seek-time' });
    var slider = BBT.slider({ label: t('media.seek'), format: BBT.clock, onchange: function (s) { seek(s); } });
    var subs = subtitles(media, context, options.preference, options.subtitlesOn, function () { options.onsubtitles(subs); });
    var play = BBT.button({ icon: 'play', label: t('media.play'), 'class': 'button-play', onclick: toggle });
    var back = BBT.button({ icon: 'back' + options.back, label: t('media.back' + options.back), onclick: function () { jump(-options.back); } });
    var forward = BBT.button({ icon: 'forward' + options.back, label: t('media.forward' + options.back), onclick: function () { jump(options.back); } });
    var speedButton = BBT.button({ text: t('media.speed_value', { n: 1 }), label: t('media.speed'), 'class': 'button-speed' });
    var volumeButton = BBT.button({ icon: 'volume', label: t('media.volume') });
    var subtitleButton = BBT.button({ icon: 'subtitles', label: t('media.subtitles') });
    var preciseButton = BBT.button({ icon: 'loop', label: t('media.precise'), 'class': 'button-precise', onclick: function () {
      BBT.toggle(preciseButton, 'button-on', exact.toggle());
    } });
    var speed, volume, subtitle, timer, saver, exact, resumed = false;

    function duration() {
      return isFinite(media.duration) && media.duration > 0 ? media.duration : (context.item.duration_ms || 0) / 1000;
    }
    function seek(seconds) {
      media.currentTime = BBT.clamp(seconds, 0, Math.max(0, duration() - 0.1));
      draw();
    }
    function jump(by) { seek(media.currentTime + by); }
    /* `refused` is told where the kiosk wants a touch before it makes a sound. */
    function start(refused) {
      var promise = media.play();
      if (promise && promise.then) {
        promise.then(null, function () {
          draw();
          if (refused) { refused(); }
        });
      }
    }
    function toggle() { if (media.paused || media.ended) { start(); } else { media.pause(); } }
    function draw() {
      var total = duration(), now = media.currentTime || 0;
      slider.set(now, total || 1);
      time.textContent = BBT.clock(now);
      left.textContent = BBT.clock(total);
      if (media.buffered.length && total) { slider.ahead(media.buffered.end(media.buffered.length - 1) / total); }
      BBT.setIcon(play, media.paused ? 'play' : 'pause');
      BBT.setLabel(play, t(media.paused ? 'media.play' : 'media.pause'));
    }
    function drawVolume() {
      BBT.setIcon(volumeButton, media.muted || media.volume === 0 ? 'muted' : 'volume');
    }

    speed = BBT.popover(speedButton, function (panel, close) {
      choices(panel, close, SPEEDS.map(function (n) { return { value: n, text: t('media.speed_value', { n: n }) }; }),
        media.playbackRate, function (n) {
          media.defaultPlaybackRate = media.playbackRate = n;
          speedButton.querySelector('span').textContent = t('media.speed_value', { n: n });
        });
    });
    volume = BBT.popover(volumeButton, function (panel) {
      var bar = BBT.slider({
        label: t('media.volume'), live: true,
        format: function (v) { return t('view.zoom_value', { n: Math.round(v * 100) }); },
        onchange: function (v) {
          media.muted = false;
          media.volume = v;
          BBT.store.set('volume', String(v));
          drawVolume();
        }
      });
      bar.set(media.muted ? 0 : media.volume, 1);
      panel.classList.add('popover-volume');
      panel.appendChild(h('button', {
        type: 'button', 'class': 'choice' + (media.muted ? ' choice-on' : ''), text: t('media.mute'),
        onclick: function () { media.muted = !media.muted; drawVolume(); volume.close(); }
      }));
      panel.appendChild(bar.el);
    });
    subtitle = BBT.popover(subtitleButton, function (panel, close) {
      var list = [{ value: null, text: t('media.subtitles_off') }].concat(subs.list.map(function (sub, i) {
        return { value: i, text: sub.label || sub.lang };
      }));
      choices(panel, close, list, subs.chosen(), function (at) {
        subs.choose(at);
        BBT.toggle(subtitleButton, 'button-on', at !== null);
      });
    });

    media.addEventListener('loadedmetadata', function () {
      var point = where.load();
      if (!resumed && point > RESUME_MIN_S && point < media.duration * 0.95) {
        media.currentTime = point;
        if (options.ontoast) {
          options.ontoast(t('media.resumed', { time: BBT.clock(point) }), t('media.restart'), function () { seek(0); start(); });
        }
      }
      resumed = true;
      draw();
    });
    exact = precise({
      media: media, seek: seek, duration: duration, marked: function (from, to) { slider.part(from, to); }
    }, options.frames);
    media.addEventListener('durationchange', function () { exact.redraw(); });
    media.addEventListener('playing', function () { context.told('playing', media.currentTime, duration()); });
    media.addEventListener('pause', function () { if (!media.ended) { context.told('paused', media.currentTime, duration()); } });
    media.addEventListener('ended', function () { context.told('finished', duration(), duration()); });
    ['timeupdate', 'play', 'pause', 'ended', 'seeked', 'progress', 'durationchange'].forEach(function (name) {
      media.addEventListener(name, draw);
    });
    media.addEventListener('pause', save);
    media.addEventListener('volumechange', drawVolume);
    media.addEventListener('error', function () {
      BBT.mediaTrouble(media, context.lesson);
      context.fail(t('media.failed_text'));
    });

    function save() { if (duration()) { where.save(media.currentTime, duration()); } }
    saver = window.setInterval(function () {
      if (media.paused) { return; }
      save();
      context.told('playing', media.currentTime, duration());
    }, SAVE_MS);
    /* Four times a second is what `timeupdate` gives; nothing finer is drawn. */
    timer = window.setInterval(function () { if (!media.paused) { draw(); } }, 250);

    media.volume = BBT.store.get('volume') === null ? 1 : BBT.clamp(Number(BBT.store.get('volume')) || 0, 0, 1);
    prunePositions();
    subs.start();
    BBT.toggle(subtitleButton, 'button-on', subs.chosen() !== null);
    drawVolume();
    draw();

    return {
      seekRow: h('div', { 'class': 'seek' }, [exact.el, time, slider.el, left]), precise: preciseButton,
      play: play, back: back, forward: forward, speed: speed.el, volume: volume.el,
      subtitles: subs.list.length ? subtitle.el : null,
      subs: subs, start: start, toggle: toggle, seek: seek, jump: jump,
      isOpen: function () { return exact.isOpen() || speed.isOpen() || volume.isOpen() || subtitle.isOpen(); },
      key: function (event) {
        switch (event.key) {
          case ' ': case 'Enter': if (/^(BUTTON|A)$/.test(event.target.tagName)) { return false; } toggle(); return true;
          case 'MediaPlayPause': toggle(); return true;
          case 'ArrowLeft':
            if (event.shiftKey && options.frames) { exact.step(-1); return true; }
            if (media.currentTime < EDGE_S && !event.repeat) { return false; }
            jump(-options.back);
            return true;
          case 'ArrowRight':
            if (event.shiftKey && options.frames) { exact.step(1); return true; }
            if ((media.ended || (duration() && media.currentTime > duration() - EDGE_S)) && !event.repeat) { return false; }
            jump(options.back);
            return true;
          case 'ArrowUp': case '+': case '=': media.volume = BBT.clamp(media.volume + 0.1, 0, 1); return true;
          case '-': media.volume = BBT.clamp(media.volume - 0.1, 0, 1); return true;
          case '[': if (options.frames) { exact.step(-1); } return true;
          case ']': if (options.frames) { exact.step(1); } return true;
          case 'l': case 'L': exact.key(); return true;
          default: return false;
        }
      },
      destroy: function () {
        save();
        if (!media.paused) { context.told('paused', media.currentTime, duration()); }
        window.clearInterval(timer);
        window.clearInterval(saver);
        exact.destroy();
        speed.close();
        volume.close();
        subtitle.close();
        /* Lets go of the decoder and the connection at once; a 1 GiB board cannot wait for the collector. */
        media.pause();
        media.removeAttribute('src');
        media.load();
      }
    };
  };
}());
