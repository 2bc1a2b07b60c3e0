/* Whom to call and what to do first; and the page that leads to what is used seldom. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  function steps() {
    return h('ol', { 'class': 'help-steps' }, [1, 2, 3].map(function (n) {
      return h('li', {}, [h('strong', { text: t('help.step' + n) }), h('span', { text: t('help.step' + n + '_text') })]);
    }));
  }

  BBT.view('help', function () {
    var el = h('div', { 'class': 'view view-help' }), drawn = '';
    function update() {
      var help = (BBT.data.home && BBT.data.home.help) || {}, now = JSON.stringify([help, BBT.data.deviceName(), BBT.language]);
      if (now === drawn) { return; }
      drawn = now;
      BBT.empty(el);
      el.appendChild(h('section', { 'class': 'help-card' }, [
        h('h2', { text: t('help.call') }),
        h('p', { 'class': 'help-office', text: help.office || t('help.no_office') }),
        help.phone ? h('p', { 'class': 'help-phone', text: help.phone }) : null,
        help.text ? h('p', { 'class': 'help-text', text: help.text }) : null,
        h('p', { 'class': 'help-say', text: t('help.say', { name: BBT.data.deviceName() || t('info.unknown') }) })
      ]));
      el.appendChild(h('section', { 'class': 'help-first' }, [h('h2', { text: t('help.first') }), steps()]));
    }
    update();
    return {
      el: el, update: update,
      dock: [BBT.backButton(), h('div', { 'class': 'dock-end' }, [
        BBT.button({ icon: 'qr', text: t('diag.title'), onclick: function () { BBT.go('#/diag'); } }),
        BBT.button({ icon: 'wrench', text: t('home.fault'), 'class': 'button-primary button-wide', onclick: function () { BBT.go('#/fault'); } })
      ])]
    };
  });

  function tile(icon, title, text, go) {
    return h('button', { type: 'button', 'class': 'tile', onclick: go }, [
      BBT.icon(icon), h('span', { 'class': 'tile-words' }, [h('strong', { text: title }), h('small', { text: text })])
    ]);
  }
  function to(hash) { return function () { BBT.go(hash); }; }

  BBT.view('more', function () {
    var el = h('div', { 'class': 'view view-more' }), drawn = '';
    function update() {
      var home = BBT.data.home || {}, now = JSON.stringify([home.school_lessons, home.on_board, BBT.language]);
      if (now === drawn) { return; }
      drawn = now;
      BBT.empty(el).appendChild(h('div', { 'class': 'tiles' }, [
        tile('language', t('app.other_language'), t('more.language_text'), function () { BBT.changeLanguage(); }),
        tile('qr', t('diag.title'), t('more.diag_text'), to('#/diag')),
        tile('board', t('app.info'), t('more.info_text'), function () { BBT.showInfo(); }),
        tile('eye', t('privacy.title'), t('more.privacy_text'), to('#/privacy')),
        home.school_lessons && home.on_board && BBT.views.own ? tile('own', t('more.own'), t('more.own_text'), to('#/own')) : null,
        home.on_board === false ? null : tile('gear', t('settings.title'), t('more.settings_text'), to('#/settings'))
      ]));
    }
    update();
    return { el: el, update: update, dock: [BBT.backButton()] };
  });
}());
