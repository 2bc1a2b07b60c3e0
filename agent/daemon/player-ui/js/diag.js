/* 诊断二维码: the board's state in one picture, so large that a photo from the door is enough; and the same in words. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  BBT.view('diag', function () {
    var el = h('div', { 'class': 'view view-diag' }), ended = false;

    function draw(answer) {
      BBT.empty(el);
      if (!answer) {
        el.appendChild(BBT.message({ icon: 'warn', title: t('api.no_answer') }));
        return;
      }
      el.appendChild(h('img', { 'class': 'diag-qr', src: 'api/diag.svg?' + Date.now(), alt: t('diag.title') }));
      el.appendChild(h('section', { 'class': 'diag-words' }, [
        h('h1', { text: t('diag.title') }), h('p', { 'class': 'diag-how', text: t('diag.how') }),
        h('ul', {}, (answer.lines || []).map(function (line) {
          return h('li', { 'class': line.bad ? 'diag-bad' : '' }, [BBT.icon(line.bad ? 'warn' : 'check'), h('span', { text: BBT.language === 'en' ? line.en : line.zh })]);
        })),
        h('p', { 'class': 'diag-note', text: t('diag.note') })
      ]));
    }

    function ask() {
      BBT.api.get('api/diag', function (ok, body) { if (!ended) { draw(ok ? body : null); } });
    }
    ask();
    return {
      el: el, destroy: function () { ended = true; },
      dock: [BBT.backButton(), h('div', { 'class': 'dock-end' }, [
        BBT.button({ icon: 'again', text: t('diag.again'), onclick: ask }),
        BBT.button({ icon: 'wrench', text: t('home.fault'), onclick: function () { BBT.go('#/fault'); } })
      ])]
    };
  });
}());
