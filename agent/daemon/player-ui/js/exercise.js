/* HTML5 exercises in their own origin, and files that are only handed out. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* The exercise comes from another port, so from another origin: it can reach neither this page nor its storage.
     `allow-same-origin` gives it its own origin, not ours. Without it every exercise would be an opaque origin,
     where localStorage throws and its own fonts, modules and data files are refused: most exported exercises then
     stay blank. A frame can undo its sandbox only if it shares the embedder's origin, and it does not; should the
     agent ever hand out an exercise under the player's own origin, the frame is closed tight instead. */
  function sandbox(url) {
    var link = h('a', { href: url });
    var own = link.protocol === window.location.protocol && link.host === window.location.host;
    return own ? 'allow-scripts' : 'allow-scripts allow-same-origin';
  }

  BBT.viewers.html5 = function (context) {
    var place = h('div', { 'class': 'exercise' });

    function open() {
      var wait = BBT.message({ icon: 'html5', title: t('exercise.loading') });
      var frame = h('iframe', {
        'class': 'exercise-frame', sandbox: sandbox(context.item.url), title: context.item.title,
        allow: 'fullscreen', referrerpolicy: 'no-referrer'
      });
      BBT.empty(place);
      place.appendChild(wait);
      place.appendChild(frame);
      frame.addEventListener('load', function () {
        if (wait.parentNode) { place.removeChild(wait); }
        frame.classList.add('exercise-loaded');
        frame.focus();
      });
      frame.src = context.item.url;
    }

    return {
      el: place,
      tools: [
        BBT.button({ icon: 'again', text: t('exercise.restart'), onclick: open }),
        BBT.button({ icon: 'fullscreen', label: t('media.fullscreen'), onclick: function () { BBT.toggleFullscreen(); } })
      ],
      mounted: open,
      destroy: function () { BBT.empty(place); }
    };
  };

  BBT.viewers.office = BBT.viewers.other = function (context) {
    var url = typeof context.item.download === 'string' ? context.item.download : context.item.url;
    return {
      el: BBT.message({
        icon: 'office', title: t('office.title'), text: t('office.text'),
        button: h('a', { 'class': 'button button-primary button-large', href: url, download: context.item.title }, [
          BBT.icon('download'), h('span', { text: t('office.download') })
        ])
      })
    };
  };
}());
