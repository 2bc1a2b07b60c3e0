/* Video on the whole screen; controls leave when the class should look at the picture. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var QUIET_MS = 3500;

  BBT.viewers.video = function (context) {
    var video = h('video', { playsinline: true, preload: 'auto' });
    var words = h('div', { 'class': 'subtitles', 'aria-live': 'off' });
    var big = BBT.button({ icon: 'play', label: t('media.play'), 'class': 'big-play hidden', onclick: function () { controls.start(); } });
    var toast = h('div', { 'class': 'toast hidden' });
    var after = h('div', { 'class': 'after hidden' });
    var surface = h('div', { 'class': 'video-surface' }, [video, words]);
    var el = h('div', { 'class': 'video' }, [surface, big, toast, after]);
    /* Until it has played once a large button stands in the middle; after that the dock's is enough. */
    var started = false, quiet = null, toastTimer = null, controls;

    function showToast(text, action, onclick) {
      BBT.empty(toast);
      toast.appendChild(h('span', { text: text }));
      toast.appendChild(BBT.button({
        text: action, onclick: function () { toast.classList.add('hidden'); onclick(); }
      }));
      toast.classList.remove('hidden');
      toastTimer = window.setTimeout(function () { toast.classList.add('hidden'); }, 8000);
    }

    controls = BBT.mediaControls(video, context, {
      back: 10, preference: 'subtitles.video', subtitlesOn: true, ontoast: showToast, frames: true,
      onsubtitles: function (subs) {
        BBT.empty(words);
        if (!subs) { return; }
        subs.active().forEach(function (cue) {
          words.appendChild(h('p', {}, [h('span', { text: BBT.cueText(cue) })]));
        });
      }
    });

    function wake() {
      window.clearTimeout(quiet);
      document.body.classList.remove('quiet');
      quiet = window.setTimeout(function () {
        if (!video.paused && !controls.isOpen() && !document.querySelector('.slider.dragging')) {
          document.body.classList.add('quiet');
        } else if (!video.paused) {
          wake();
        }
      }, QUIET_MS);
    }

    function drawOverlays() {
      BBT.toggle(big, 'hidden', !video.paused || video.error || started);
      BBT.toggle(after, 'hidden', !video.ended);
      if (video.ended) { toast.classList.add('hidden'); }
      if (video.paused) { wake(); }
    }

    after.appendChild(BBT.button({ icon: 'again', text: t('media.again'), 'class': 'button-large', onclick: function () { controls.seek(0); controls.start(); } }));
    if (context.hasNext) {
      after.appendChild(BBT.button({ icon: 'next', text: t('item.next'), 'class': 'button-large button-primary button-next', onclick: context.next }));
    }
    /* While the controls are away a touch only brings them back: nobody stops a film to see the time. */
    surface.addEventListener('click', function () {
      if (surface.getAttribute('data-was-quiet') === 'yes') { return; }
      controls.toggle();
    });
    surface.addEventListener('pointerdown', function () {
      surface.setAttribute('data-was-quiet', document.body.classList.contains('quiet') ? 'yes' : 'no');
    });
    ['play', 'pause', 'ended', 'timeupdate', 'loadeddata'].forEach(function (name) { video.addEventListener(name, drawOverlays); });
    video.addEventListener('playing', function () { started = true; wake(); drawOverlays(); });
    ['pointerdown', 'pointermove', 'keydown'].forEach(function (name) { document.addEventListener(name, wake, true); });

    return {
      el: el, immersive: true, seek: controls.seekRow,
      tools: [controls.back, controls.play, controls.forward, controls.precise, controls.speed, controls.volume, controls.subtitles].filter(Boolean),
      mounted: function () {
        video.src = context.item.url;
        controls.start(drawOverlays);
        wake();
      },
      key: controls.key,
      destroy: function () {
        window.clearTimeout(quiet);
        window.clearTimeout(toastTimer);
        ['pointerdown', 'pointermove', 'keydown'].forEach(function (name) { document.removeEventListener(name, wake, true); });
        document.body.classList.remove('quiet');
        controls.destroy();
      }
    };
  };
}());
