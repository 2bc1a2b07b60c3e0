/* A player that the county locked: why, whom to call, and the technician's PIN, which unlocks it. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* Since when: the time alone is of today; where the day is another, or not known, it is said. */
  function momentOf(moment) {
    var clock = (BBT.data.home && BBT.data.home.clock) || {}, shift = (clock.utc_offset_min == null ? 480 : clock.utc_offset_min) * 60000;
    function day(at) { return isNaN(at) ? '' : new Date(at + shift).toISOString().slice(0, 10); }
    var that = day(Date.parse(moment)), now = clock.now ? day(Date.parse(clock.now)) : '';
    return (that && that !== now ? BBT.dateWords(that) + ' ' : '') + BBT.timeOf(moment);
  }

  BBT.view('maintenance', function () {
    var el = h('div', { 'class': 'view view-locked' });
    var open = false, pad = null, ended = false, shown = '';

    function askPin() {
      open = true;
      pad = BBT.pinPad({
        title: t('maintenance.pin'), cancel: function () { open = false; draw(); },
        onsubmit: function (pin, done) {
          BBT.api.post('api/lock/open', { pin: pin }, function (ok, body) {
            if (ended) { return; }
            if (!ok) { done(BBT.api.words(body)); return; }
            BBT.data.refresh();
          });
        }
      });
      draw();
    }

    function draw() {
      var home = BBT.data.home || {}, lock = home.lock || {}, help = home.help || {};
      BBT.empty(el);
      el.className = open ? 'view view-settings' : 'view view-locked' + ((lock.reason || '').length > 60 ? ' locked-long' : '');
      if (open) {
        el.appendChild(h('div', { 'class': 'pin-page' }, [pad.el]));
        return;
      }
      el.appendChild(BBT.icon('lock', 'locked-icon'));
      el.appendChild(h('h1', { text: t('maintenance.title') }));
      el.appendChild(h('p', { 'class': 'locked-why', text: lock.reason || t('maintenance.text') }));
      if (lock.since) { el.appendChild(h('small', { text: t('maintenance.since', { time: momentOf(lock.since) }) })); }
      el.appendChild(help.phone ? h('p', { 'class': 'locked-contact' }, [help.office ? h('span', { text: help.office }) : null, h('strong', { text: help.phone })])
        : h('p', { 'class': 'locked-nobody', text: t('maintenance.nobody') }));
      if (home.on_board && home.features && home.features.pin_set) {
        el.appendChild(BBT.button({ icon: 'wrench', text: t('maintenance.open'), 'class': 'button-large', onclick: askPin }));
      }
    }

    draw();
    return {
      el: el,
      dock: [],
      key: function (event) { return open && pad.key(event); },
      update: function () {
        var now = JSON.stringify([BBT.data.home && BBT.data.home.lock]);
        if (!open && now !== shown) { shown = now; draw(); }
      },
      destroy: function () { ended = true; }
    };
  });
}());
