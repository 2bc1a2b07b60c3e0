/* A player that the county locked: why, whom to call, and the technician's PIN, which unlocks it. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

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
      el.className = open ? 'view view-settings' : 'view view-locked';
      if (open) {
        el.appendChild(pad.el);
        return;
      }
      el.appendChild(BBT.icon('lock', 'locked-icon'));
      el.appendChild(h('h1', { text: t('maintenance.title') }));
      el.appendChild(h('p', { text: lock.reason || t('maintenance.text') }));
      if (lock.since) { el.appendChild(h('small', { text: t('maintenance.since', { time: BBT.timeOf(lock.since) }) })); }
      if (help.phone) { el.appendChild(h('p', { 'class': 'locked-contact', text: [help.office, help.phone].filter(Boolean).join(' ') })); }
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
