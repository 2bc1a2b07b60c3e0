/* 隐私看得见: every field that leaves the board, as the agent lists it from the contract. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  function said(of) { return (BBT.language === 'en' ? of.en : of.zh) || of.name || ''; }

  function section(one) {
    return h('section', { 'class': 'privacy-part' }, [
      h('h2', {}, [h('span', { text: said(one) }), h('small', { text: t('privacy.count', { n: one.fields.length }) })]),
      one.every ? h('p', { text: (BBT.language === 'en' && one.every_en) || one.every }) : null,
      h('ul', {}, one.fields.map(function (field) {
        return h('li', {}, [h('span', { text: said(field) }), h('code', { text: field.name || '' })]);
      }))
    ]);
  }

  BBT.view('privacy', function () {
    var list = h('main', { 'class': 'privacy-list', tabindex: '0' }), never = h('ul', {}), ended = false;
    var el = h('div', { 'class': 'view view-privacy' }, [
      h('section', { 'class': 'privacy-never' }, [h('h1', { text: t('privacy.title') }), h('p', { text: t('privacy.text') }), h('h2', { text: t('privacy.never') }), never]), list
    ]);

    BBT.api.get('api/privacy', function (ok, body) {
      var words;
      if (ended) { return; }
      if (!ok || !body) { list.appendChild(BBT.message({ icon: 'warn', title: t('api.no_answer') })); return; }
      words = (body.never && body.never[BBT.language === 'en' ? 'en' : 'zh']) || [];
      words.forEach(function (line) { never.appendChild(h('li', {}, [BBT.icon('check'), h('span', { text: line })])); });
      (body.sections || []).forEach(function (one) { list.appendChild(section(one)); });
    });
    return { el: el, destroy: function () { ended = true; }, dock: [BBT.backButton()] };
  });
}());
