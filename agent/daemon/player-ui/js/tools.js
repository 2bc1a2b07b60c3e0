/* What a teacher takes in hand over any item: look here (dark screen), a timer, a seat by chance. No names of anybody. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var MINUTES = [1, 2, 3, 5, 10];
  var MOST_SEATS = 12;
  var chip = null, sheet = null;

  function close() {
    if (sheet && sheet.parentNode) { sheet.parentNode.removeChild(sheet); }
    sheet = null;
  }

  /* A panel at the bottom of the screen, within everybody's reach. */
  function open(name, children) {
    var first;
    close();
    sheet = h('div', { 'class': 'desk desk-' + name, role: 'dialog', 'aria-label': t('tool.' + name) }, [
      h('div', { 'class': 'desk-card' }, children.concat([
        BBT.button({ icon: 'check', text: t('app.close'), 'class': 'desk-close', onclick: close })
      ]))
    ]);
    sheet.addEventListener('keydown', function (event) {
      if (event.key === 'Escape') { close(); } else if (!BBT.walk(sheet, event)) { return; }
      event.preventDefault();
      event.stopPropagation();
    });
    document.body.appendChild(sheet);
    first = sheet.querySelector('.button-primary') || sheet.querySelector('button');
    if (first) { first.focus(); }
  }

  /* --- timer --- */
  var timer = { left: 0, until: 0, running: false, tick: null, face: null };

  function remaining() { return timer.running ? Math.max(0, timer.until - Date.now()) : timer.left; }

  function beep() {
    var Audio = window.AudioContext || window.webkitAudioContext, sound, at;
    try { sound = new Audio(); } catch (e) { return; }
    for (at = 0; at < 3; at += 1) {
      (function (from) {
        var tone = sound.createOscillator(), volume = sound.createGain();
        tone.frequency.value = 880;
        volume.gain.value = 0.25;
        tone.connect(volume);
        volume.connect(sound.destination);
        tone.start(sound.currentTime + from);
        tone.stop(sound.currentTime + from + 0.25);
      }(at * 0.5));
    }
    window.setTimeout(function () { sound.close(); }, 3000);
  }

  function drawTimer() {
    var ms = remaining(), text = BBT.clock(Math.ceil(ms / 1000)), over = timer.running && ms <= 0;
    if (timer.face) {
      timer.face.textContent = text;
      BBT.toggle(timer.face, 'timer-over', over || timer.done);
    }
    if (chip) {
      chip.querySelector('span').textContent = text;
      BBT.toggle(chip, 'timer-over', over || timer.done);
    }
    if (over) {
      timer.running = false;
      timer.done = true;
      timer.left = 0;
      beep();
      drawTimer();
    }
  }

  function dropChip() {
    if (chip && chip.parentNode) { chip.parentNode.removeChild(chip); }
    chip = null;
  }

  function run(on) {
    window.clearInterval(timer.tick);
    timer.left = remaining();
    timer.running = on && timer.left > 0;
    timer.done = false;
    if (timer.running) {
      timer.until = Date.now() + timer.left;
      timer.tick = window.setInterval(drawTimer, 200);
      if (!chip) {
        chip = BBT.button({ icon: 'clock', text: ' ', label: t('tool.timer'), 'class': 'timer-chip', onclick: openTimer });
        document.body.appendChild(chip);
      }
    }
    drawTimer();
  }

  function openTimer() {
    var go = BBT.button({ icon: 'play', text: t('tool.start'), 'class': 'button-primary button-large', onclick: function () {
      run(!timer.running);
      draw();
    } });
    function draw() {
      BBT.setIcon(go, timer.running ? 'pause' : 'play');
      go.lastChild.textContent = t(timer.running ? 'tool.pause' : 'tool.start');
    }
    function set(ms) {
      var on = timer.running;
      timer.running = false;
      timer.done = false;
      timer.left = Math.max(0, Math.min(ms, 5940000));
      run(on);
      draw();
    }
    if (!timer.running && !timer.left) { timer.left = 180000; timer.done = false; }
    timer.face = h('div', { 'class': 'timer-face', role: 'timer' });
    open('timer', [
      timer.face,
      h('div', { 'class': 'desk-row' }, MINUTES.map(function (n) {
        return BBT.button({ text: t('tool.minutes', { n: n }), onclick: function () { set(n * 60000); } });
      }).concat([
        BBT.button({ icon: 'minus', label: t('tool.less'), onclick: function () { set(remaining() - 30000); } }),
        BBT.button({ icon: 'plus', label: t('tool.more'), onclick: function () { set(remaining() + 30000); } })
      ])),
      h('div', { 'class': 'desk-row' }, [go, BBT.button({ icon: 'again', text: t('tool.reset'), onclick: function () {
        run(false);
        timer.left = 0;
        timer.face = null;
        dropChip();
        close();
      } })])
    ]);
    draw();
    drawTimer();
  }

  /* --- a seat by chance: rows and columns, no names, and none twice until all were asked --- */
  var seats = { drawn: {}, spin: null };

  function size(name, fallback) { return BBT.clamp(Number(BBT.store.get('seats.' + name)) || fallback, 1, MOST_SEATS); }

  function chance(n) {
    var box = new Uint32Array(1), most = Math.floor(4294967296 / n) * n;
    do { window.crypto.getRandomValues(box); } while (box[0] >= most);
    return box[0] % n;
  }

  function openSeats() {
    var grid = h('div', { 'class': 'seats' });
    var words = h('div', { 'class': 'seats-words', 'aria-live': 'polite' });
    var pick = BBT.button({ icon: 'seat', text: t('tool.draw'), 'class': 'button-primary button-large', onclick: draw });
    var rows = h('span', { 'class': 'tool-value' }), columns = h('span', { 'class': 'tool-value' });

    function lay() {
      var r = size('rows', 6), c = size('columns', 8), i, row, j;
      BBT.empty(grid);
      /* As large as the room allows: it is read from the last row. */
      grid.style.fontSize = Math.min(5, 46 / c, 30 / r) + 'rem';
      for (i = 0; i < r; i += 1) {
        row = h('div', { 'class': 'seats-row' });
        for (j = 0; j < c; j += 1) {
          row.appendChild(h('div', { 'class': 'seat' + (seats.drawn[i + '.' + j] ? ' seat-done' : ''), 'data-seat': i + '.' + j }));
        }
        grid.appendChild(row);
      }
      rows.textContent = t('tool.rows', { n: r });
      columns.textContent = t('tool.columns', { n: c });
    }
    function change(name, fallback, by) {
      return function () {
        BBT.store.set('seats.' + name, String(BBT.clamp(size(name, fallback) + by, 1, MOST_SEATS)));
        again();
      };
    }
    function again() {
      window.clearInterval(seats.spin);
      seats.drawn = {};
      words.textContent = t('tool.ready');
      pick.disabled = false;
      lay();
    }
    function mark(at, name) {
      [].forEach.call(grid.querySelectorAll('.' + name), function (old) { old.classList.remove(name); });
      if (at) { grid.querySelector('[data-seat="' + at + '"]').classList.add(name); }
    }
    function draw() {
      var free = [].map.call(grid.querySelectorAll('.seat'), function (seat) { return seat.getAttribute('data-seat'); })
        .filter(function (at) { return !seats.drawn[at]; });
      var left = window.matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 12;
      var chosen, place;
      if (!free.length) { again(); return; }
      chosen = free[chance(free.length)];
      place = chosen.split('.');
      pick.disabled = true;
      mark(null, 'seat-chosen');
      words.textContent = '…';
      window.clearInterval(seats.spin);
      seats.spin = window.setInterval(function () {
        if (!grid.parentNode || !document.body.contains(grid)) { window.clearInterval(seats.spin); return; }
        if (left > 0) {
          left -= 1;
          mark(free[chance(free.length)], 'seat-passing');
          return;
        }
        window.clearInterval(seats.spin);
        mark(null, 'seat-passing');
        seats.drawn[chosen] = true;
        lay();
        mark(chosen, 'seat-chosen');
        words.textContent = t('tool.seat', { row: Number(place[0]) + 1, column: Number(place[1]) + 1 });
        pick.disabled = false;
        pick.focus();
      }, left ? 90 : 1);
    }

    open('seats', [
      h('div', { 'class': 'desk-split' }, [
        h('div', { 'class': 'seats-room' }, [h('div', { 'class': 'seats-board', text: t('tool.board') }), grid]),
        h('div', { 'class': 'seats-side' }, [
          words,
          h('div', { 'class': 'desk-row' }, [pick]),
          h('div', { 'class': 'desk-row' }, [
            BBT.button({ icon: 'minus', label: t('tool.fewer_rows'), onclick: change('rows', 6, -1) }), rows,
            BBT.button({ icon: 'plus', label: t('tool.more_rows'), onclick: change('rows', 6, 1) })
          ]),
          h('div', { 'class': 'desk-row' }, [
            BBT.button({ icon: 'minus', label: t('tool.fewer_columns'), onclick: change('columns', 8, -1) }), columns,
            BBT.button({ icon: 'plus', label: t('tool.more_columns'), onclick: change('columns', 8, 1) })
          ]),
          h('div', { 'class': 'desk-row' }, [BBT.button({ icon: 'again', text: t('tool.again'), onclick: again })])
        ])
      ])
    ]);
    lay();
    words.textContent = t('tool.ready');
  }

  BBT.openTimer = openTimer;
  BBT.openSeats = openSeats;

  /* The button in the dock with all of them: {el, close()}. */
  BBT.toolsButton = function () {
    var button = BBT.button({ icon: 'tools', text: t('tool.title'), 'class': 'button-tools' });
    var menu = BBT.popover(button, function (panel, shut) {
      panel.classList.add('popover-tools');
      [['moon', 'tool.look', BBT.blackout], ['clock', 'tool.timer', openTimer], ['seat', 'tool.seats', openSeats]].forEach(function (tool) {
        panel.appendChild(BBT.button({ icon: tool[0], text: t(tool[1]), onclick: function () { shut(); tool[2](); } }));
      });
    });
    return { el: menu.el, close: function () { menu.close(); close(); } };
  };
}());
