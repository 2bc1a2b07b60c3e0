/* HTML5 exercises in their own origin, and office files by what the console made of them. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* An exercise that is not loaded by then counts as one that does not come. */
  var LATE_MS = 30000;

  /* The exercise comes from a name and a port of its own, so from another origin: it can reach neither this page nor what
     another lesson stored. `allow-same-origin` gives it its own origin, not ours. Without it every exercise would be an
     opaque origin, where localStorage throws and its own fonts, modules and data files are refused: most exported exercises
     then stay blank. A frame can undo its sandbox only if it shares the embedder's origin, and it does not; should the
     agent ever hand out an exercise under the player's own origin, the frame is closed tight instead. */
  function sandbox(url) {
    var link = h('a', { href: url });
    var own = link.protocol === window.location.protocol && link.host === window.location.host;
    return own ? 'allow-scripts' : 'allow-scripts allow-same-origin';
  }

  BBT.viewers.html5 = function (context) {
    var place = h('div', { 'class': 'exercise' });
    var enter = h('p', { 'class': 'exercise-enter', role: 'status', text: t('exercise.enter') });
    var late, frame;

    function said() { if (enter.parentNode) { place.removeChild(enter); } }
    function goIn() {
      said();
      frame.focus();
    }
    /* A finger went in. */
    window.addEventListener('blur', said);

    function open() {
      var wait = BBT.message({ icon: 'html5', title: t('exercise.loading') });
      /* Not the whole screen: there the way back would be the exercise's to show. The dock's button takes this page there. */
      frame = h('iframe', {
        'class': 'exercise-frame', sandbox: sandbox(context.item.url), title: context.item.title,
        /* A word that came with Chrome 64; an older engine complains of it. */
        allow: document.featurePolicy || document.permissionsPolicy ? 'autoplay' : null, referrerpolicy: 'no-referrer'
      });
      BBT.empty(place);
      place.appendChild(wait);
      place.appendChild(frame);
      /* It is another origin, whose mistakes this page cannot see: only that it does not come. */
      window.clearTimeout(late);
      late = window.setTimeout(function () { BBT.trouble('FRAME_LATE', context.lesson); }, LATE_MS);
      frame.addEventListener('error', function () { BBT.trouble('FRAME', context.lesson); });
      frame.addEventListener('load', function () {
        window.clearTimeout(late);
        if (wait.parentNode) { place.removeChild(wait); }
        frame.classList.add('exercise-loaded');
        /* Keys that the exercise gets never come back to us: who came by keys goes in by the key that opens things. */
        if (document.documentElement.classList.contains('by-keys')) { place.insertBefore(enter, frame); } else { frame.focus(); }
      });
      frame.src = context.item.url;
    }

    return {
      el: place, trapped: true,
      tools: [BBT.button({ icon: 'again', text: t('exercise.restart'), onclick: open })],
      mounted: open,
      key: function (event) {
        if (event.key !== 'Enter' || /^(BUTTON|A)$/.test(event.target.tagName) || !frame.classList.contains('exercise-loaded')) { return false; }
        goIn();
        return true;
      },
      destroy: function () {
        window.removeEventListener('blur', said);
        window.clearTimeout(late);
        BBT.empty(place);
      }
    };
  };

  function original(context, text) {
    var url = typeof context.item.download === 'string' ? context.item.download : context.item.url;
    return h('a', { 'class': 'button button-original', href: url, download: context.item.title, 'aria-label': t('office.download') }, [
      BBT.icon('download'), text ? h('span', { text: text }) : null
    ]);
  }

  /* By its pages: as PDF, else as pictures, else only as the file for the teacher's own program. */
  BBT.viewers.office = BBT.viewers.other = function (context) {
    var item = context.item, viewer, link;
    if (item.converted) {
      viewer = BBT.viewers.pdf(BBT.with(context, { item: BBT.with(item, { url: item.converted }) }));
      viewer.tools.push(original(context));
      return viewer;
    }
    if (item.pages && item.pages.length) {
      viewer = BBT.gallery(context, item.pages.map(function (url, i) {
        return { url: url, title: t('pdf.page', { n: i + 1, total: item.pages.length }) };
      }), 0);
      viewer.tools.push(original(context));
      return viewer;
    }
    link = original(context, t('office.download'));
    link.className += ' button-primary button-large';
    return { el: BBT.message({ icon: 'office', title: t('office.title'), text: t('office.text'), button: link }) };
  };

  /* A copy of `base` with some of it replaced. */
  BBT.with = function (base, change) {
    var copy = {};
    [base, change].forEach(function (from) {
      Object.keys(from).forEach(function (key) { copy[key] = from[key]; });
    });
    return copy;
  };
}());
